/* The standard library's texts, embedded at build time from frontend/std by cmake/embed.cmake. */
#ifndef NACRE_FRONTEND_STD_H
#define NACRE_FRONTEND_STD_H

typedef struct FrontendStdFile {
	const char *name; /* as imported: "std/nn" */
	const char *text; /* NUL-terminated */
} FrontendStdFile;

extern const FrontendStdFile frontend_std[]; /* ends with a NULL name */

#endif
