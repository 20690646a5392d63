/* text: from text to token numbers and back, as a Hugging Face tokenizer.json says. What such a file
 * asks for and this room does not know is an error that names it. A tokenizer never changes after it
 * was opened. Invalid UTF-8 is read as U+FFFD for each longest wrong part, as a lossy decoder does. */
#ifndef NACRE_TEXT_H
#define NACRE_TEXT_H
#include "support/support.h"

typedef struct Tokenizer Tokenizer;
typedef struct TextBytes {
	const char *at; /* may hold NUL; ends with one that is not counted */
	size_t n;
} TextBytes;
typedef struct TokenIds {
	uint32_t *at;
	size_t n;
} TokenIds;
typedef enum SpecialTokens {
	SPECIALS_KEPT, /* written as they are called */
	SPECIALS_LEFT, /* taken out before decoding: skip_special_tokens of Hugging Face */
	SPECIALS_SILENT, /* decoded at their place, so that what follows is not the beginning; print nothing */
} SpecialTokens;

/* --- open.c --- NULL after an error. All memory is the arena's. */
Tokenizer *tokenizer_open(Arena *a, Diags *d, const char *path);
Tokenizer *tokenizer_read(Arena *a, Diags *d, const char *name, const char *json, size_t n);
size_t tokenizer_size(const Tokenizer *t); /* one more than the largest number */
/* The number of an added token of exactly this text; false when there is none. */
bool tokenizer_added(const Tokenizer *t, const char *text, uint32_t *id);

/* --- encode.c --- Results live in a. */
typedef enum EncodeFlags {
	ENCODE_SPECIALS = 1, /* with what the post-processor adds around the text */
	ENCODE_FITTED = 2,   /* cut and padded as the file's truncation and padding say */
} EncodeFlags;
bool tokenizer_encode(const Tokenizer *t, Arena *a, Diags *d, const char *text, size_t n,
                      unsigned flags, TokenIds *out);

/* --- decode.c --- */
bool tokenizer_decode(const Tokenizer *t, Arena *a, Diags *d, const uint32_t *ids, size_t n,
                      SpecialTokens specials, TextBytes *out);

/* Decoding as tokens arrive: token_stream_push gives the text that is certain by now, and
 * token_stream_end the rest. All parts together are what tokenizer_decode gives. */
typedef struct TokenStream {
	const Tokenizer *tokenizer;
	Arena *arena;
	SpecialTokens specials;
	VEC(uint32_t) ids; /* the window that is decoded */
	size_t printed;    /* bytes of the window's text that were given out */
	char *part;        /* the text given last; the next call overwrites it */
	size_t part_room;
} TokenStream;
TokenStream token_stream_new(Arena *a, const Tokenizer *t, SpecialTokens specials);
bool token_stream_push(TokenStream *s, Diags *d, uint32_t id, TextBytes *out);
bool token_stream_end(TokenStream *s, Diags *d, TextBytes *out);
#endif
