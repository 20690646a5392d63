/* nacre lsp: a language server (LSP 3.17) over standard input and output. transport.c frames messages,
 * server.c dispatches them, document.c keeps the texts that the editor has open and counts positions,
 * analysis.c checks a document once for each version, and the rest answer requests from that:
 * diagnostics.c, hover.c, navigate.c (definition, symbols, tokens), rename.c (and what else
 * looks at the whole workspace), complete.c and
 * signature.c. One thread; nothing but the protocol is written to standard output. */
#ifndef NACRE_LSP_H
#define NACRE_LSP_H
#include "frontend/record.h"
#include "frontend/resolve.h"
#include "tools/tool.h"

enum { /* error codes of JSON-RPC and LSP */
	   LSP_PARSE_ERROR = -32700,
	   LSP_INVALID_REQUEST = -32600,
	   LSP_METHOD_NOT_FOUND = -32601,
	   LSP_INVALID_PARAMS = -32602,
	   LSP_NOT_INITIALIZED = -32002,
	   LSP_CANCELLED = -32800,
	   LSP_FAILED = -32803
};

typedef enum ColumnUnits { ENCODING_UTF16, ENCODING_UTF8, ENCODING_UTF32 } ColumnUnits;
typedef struct Server Server;

/* What is known of one version of a document; all of it lives in the arena. */
typedef struct Analysis {
	Arena *arena;
	Interner *names;
	Diags d;
	const Source *source;
	Record *record;
	NameTable *table;
	FrontendUnit unit;
	FrontendOptions options;
	Server *server;
} Analysis;

typedef struct Document {
	struct Document *next;
	char *uri, *path, *text;
	size_t n;
	json_int_t version;
	bool changed; /* its diagnostics are to be published */
	Analysis *analysis;
} Document;

/* --- transport.c ---------------------------------------------------------------------------------- */
typedef struct Transport {
	char *at; /* bytes read and not yet taken */
	size_t n, cap, taken;
	bool ended;
} Transport;
typedef enum Received { RECEIVED_MESSAGE, RECEIVED_BAD, RECEIVED_NOTHING, RECEIVED_END } Received;
/* The next message; without `wait`, only if it has arrived. BAD: *why says what is wrong with it. */
Received transport_receive(Transport *t, bool wait, json_t **out, const char **why);
bool transport_send(json_t *message); /* releases it; false: nobody reads any more */
void transport_close(Transport *t);

/* --- server.c --------------------------------------------------------------------------------------- */
struct Server {
	Tool *tool;
	const Library *library;
	Transport in;
	ColumnUnits encoding;
	Document *documents;
	char *checkpoint; /* the setting: a file of weights whose keys are offered, or NULL */
	VEC(char *) folders;
	bool initialized, shut_down, ended, snippets;
	int error; /* of the request being answered; 0: none */
	const char *error_text;
};
json_t *server_fail(Server *s, int code, const char *text); /* NULL: the answer is this error */
void server_notify(const char *method, json_t *params);

/* --- document.c -------------------------------------------------------------------------------------- */
Document *document_find(const Server *s, const char *uri);
Document *document_at_path(const Server *s, const char *path);
Document *document_of(Server *s, json_t *params); /* textDocument.uri; NULL and an error set */
void document_open(Server *s, json_t *params);
void document_change(Server *s, json_t *params);
void document_close(Server *s, json_t *params);
void document_free(Document *d);
char *path_of_uri(const char *uri); /* malloc'd */
const char *uri_of_path(Arena *a, const char *path);
const char *path_normal(Arena *a, const char *path); /* without `.` and `..` */
/* Positions: a line and a column counted in units of the encoding. */
json_t *position_json(const Server *s, const Source *source, uint32_t offset);
json_t *valid_string(const char *text); /* bytes that are no UTF-8 become `?` */
json_t *range_json(const Server *s, Span at);
bool position_read(const Server *s, const Source *source, json_t *position, uint32_t *offset);

/* --- analysis.c --------------------------------------------------------------------------------------- */
Analysis *document_analysis(Server *s, Document *d); /* cached until the next change anywhere */
/* Names alone, of a text or a file on disk; freed with analysis_free. */
Analysis *analysis_names(Server *s, const char *path);
void analysis_free(Analysis *a);
void analyses_drop(Server *s);
/* Of a request's textDocument and position; NULL: an error is set. */
Analysis *request_analysis(Server *s, json_t *params, uint32_t *offset);
const char *source_uri(Server *s, const Analysis *a, const Source *source); /* NULL: it has none */
bool source_is_std(const Analysis *a, const Source *source); /* its copy for editors too */
json_t *location_json(Server *s, const Analysis *a, Span at);

/* --- the requests ---------------------------------------------------------------------------------------- */
void diagnostics_publish(Server *s, Document *d);
void diagnostics_clear(const Document *d);
json_t *request_actions(Server *s, json_t *params);
json_t *request_hover(Server *s, json_t *params);
json_t *request_definition(Server *s, json_t *params);
json_t *request_references(Server *s, json_t *params);
json_t *request_highlight(Server *s, json_t *params);
json_t *request_symbols(Server *s, json_t *params);
json_t *request_workspace_symbols(Server *s, json_t *params);
json_t *request_tokens(Server *s, json_t *params);
json_t *tokens_legend(void);
json_t *request_prepare_rename(Server *s, json_t *params);
json_t *request_rename(Server *s, json_t *params);
json_t *request_completion(Server *s, json_t *params);
json_t *request_signature(Server *s, json_t *params);
json_t *request_format(Server *s, json_t *params);

/* --- shared by them ---------------------------------------------------------------------------------------- */
bool word_char(char c); /* of a name */
/* "def step(ids: i32[B, S]) -> ..", as declared, on one line. */
const char *symbol_text(Analysis *a, const Symbol *s);
const char *symbol_doc(Analysis *a, const Symbol *s); /* the comment above it, or "" */
const char *symbol_kind_text(const Symbol *s);
int symbol_kind(const Symbol *s); /* in the protocol's numbers */
const char *layer_prefix_text(Analysis *a, const Symbol *layer);
/* The layer or file that the text before a dot stands for; NULL: none known. */
const Symbol *chain_before(Analysis *a, uint32_t dot);
/* The call around an offset: its name's end, and how many commas came before. False: in none. */
typedef struct CallAround {
	uint32_t open; /* the '(' */
	uint32_t commas;
	const char *name; /* of the last part */
	uint32_t name_begin, name_end;
} CallAround;
bool call_around(Analysis *a, uint32_t offset, CallAround *out);
const Symbol *call_target(Analysis *a,
                          const CallAround *c); /* its def or layer; NULL: a builtin? */
/* Keys of the checkpoint that belongs to a document. */
typedef VEC(const char *) KeyList;
void checkpoint_keys(Server *s, Analysis *a, KeyList *out);

#endif
