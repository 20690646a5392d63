/* The server's life and its table of methods. Messages that have arrived are taken in before one is
 * answered, so that a request can be cancelled while it waits, and diagnostics are made when nothing
 * else waits. */
#include "tools/lsp/lsp.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

json_t *server_fail(Server *s, int code, const char *text)
{
	s->error = code;
	s->error_text = text;
	return NULL;
}

void server_notify(const char *method, json_t *params)
{
	if (!params) return; /* a text that is no UTF-8 */
	transport_send(
		json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params));
}

static void answer(Server *s, json_t *id, json_t *result)
{
	json_t *m = json_pack("{s:s, s:O}", "jsonrpc", "2.0", "id", id);
	if (s->error)
		json_object_set_new(m, "error",
		                    json_pack("{s:i, s:s}", "code", s->error, "message", s->error_text));
	else
		json_object_set(m, "result", result ? result : json_null());
	json_decref(result);
	transport_send(m);
	s->error = 0;
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void set_checkpoint(Server *s, json_t *settings)
{
	json_t *own = json_object_get(settings, "nacre");
	const char *path = json_string_value(json_object_get(own ? own : settings, "checkpoint"));
	if (!path) return;
	free(s->checkpoint);
	s->checkpoint = strdup(path);
}

static void add_folder(Server *s, const char *uri)
{
	char *path = uri ? path_of_uri(uri) : NULL;
	size_t n = path ? strlen(path) : 0;
	while (n > 1 && path[n - 1] == '/') path[--n] = 0;
	if (path) vec_push(s->tool->arena, &s->folders, path);
}

static const char *choose_encoding(Server *s, json_t *capabilities)
{
	json_t *list = json_object_get(json_object_get(capabilities, "general"), "positionEncodings");
	json_t *one;
	size_t i;
	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(one);
		if (!name || strcmp(name, "utf-8") != 0) continue;
		s->encoding = ENCODING_UTF8;
		return name;
	}
	return "utf-16";
}

static json_t *request_initialize(Server *s, json_t *params)
{
	json_t *folders = json_object_get(params, "workspaceFolders"), *folder;
	size_t i;
	if (s->initialized) return server_fail(s, LSP_INVALID_REQUEST, "initialized already");
	s->initialized = true;
	const char *encoding = choose_encoding(s, json_object_get(params, "capabilities"));
	set_checkpoint(s, json_object_get(params, "initializationOptions"));
	json_array_foreach(folders, i, folder)
		add_folder(s, json_string_value(json_object_get(folder, "uri")));
	if (!json_array_size(folders))
		add_folder(s, json_string_value(json_object_get(params, "rootUri")));
	json_t *can = json_pack(
		"{s:s, s:{s:b, s:i, s:b}, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:{s:b}, s:{s:[s, s, s]}, s:{s:[s, s]}, s:{s:o, s:b}, s:{s:[s]}}",
		"positionEncoding", encoding, "textDocumentSync", "openClose", 1, "change", 2, "save", 1,
		"hoverProvider", 1, "definitionProvider", 1, "referencesProvider", 1,
		"documentHighlightProvider", 1, "documentSymbolProvider", 1, "workspaceSymbolProvider", 1,
		"documentFormattingProvider", 1, "renameProvider", "prepareProvider", 1,
		"completionProvider", "triggerCharacters", ".", "\"", "/", "signatureHelpProvider",
		"triggerCharacters", "(", ",", "semanticTokensProvider", "legend", tokens_legend(), "full",
		1, "codeActionProvider", "codeActionKinds", "quickfix");
	return json_pack("{s:o, s:{s:s, s:s}}", "capabilities", can, "serverInfo", "name", "nacre",
	                 "version", NACRE_VERSION);
}

static json_t *request_shutdown(Server *s, json_t *params)
{
	(void)params;
	s->shut_down = true;
	return NULL;
}

static void notice_exit(Server *s, json_t *params)
{
	(void)params;
	s->ended = true;
}

static void notice_nothing(Server *s, json_t *params)
{
	(void)s;
	(void)params;
}

static void notice_settings(Server *s, json_t *params)
{
	set_checkpoint(s, json_object_get(params, "settings"));
}

/* A file that an open one imports may be among them. */
static void notice_files(Server *s, json_t *params)
{
	(void)params;
	analyses_drop(s);
	for (Document *d = s->documents; d; d = d->next) d->changed = true;
}

/* --- formatting ------------------------------------------------------------------------------------------ */

json_t *request_format(Server *s, json_t *params)
{
	Analysis *a = request_analysis(s, params, NULL);
	if (!a) return NULL;
	Diags silent = {.arena = a->arena};
	Text out = text_new(a->arena);
	const Source *source = a->source;
	if (!format_source(a->arena, &silent, source, &out)) return json_array();
	const char *to = out.at ? out.at : "";
	if (out.n == source->size && memcmp(to, source->text, out.n) == 0) return json_array();
	json_t *range = range_json(s, (Span){source, 0, (uint32_t)source->size});
	json_t *edit = json_pack("{s:o, s:s#}", "range", range, "newText", to, (int)out.n);
	return edit ? json_pack("[o]", edit) : json_array();
}

/* --- dispatch --------------------------------------------------------------------------------------------- */

typedef struct Method {
	const char *name;
	json_t *(*request)(Server *s, json_t *params);
	void (*notice)(Server *s, json_t *params);
} Method;

static const Method methods[] = {
	{"initialize", request_initialize, NULL},
	{"shutdown", request_shutdown, NULL},
	{"exit", NULL, notice_exit},
	{"initialized", NULL, notice_nothing},
	{"workspace/didChangeConfiguration", NULL, notice_settings},
	{"workspace/didChangeWatchedFiles", NULL, notice_files},
	{"textDocument/didOpen", NULL, document_open},
	{"textDocument/didChange", NULL, document_change},
	{"textDocument/didClose", NULL, document_close},
	{"textDocument/didSave", NULL, notice_files},
	{"textDocument/hover", request_hover, NULL},
	{"textDocument/definition", request_definition, NULL},
	{"textDocument/references", request_references, NULL},
	{"textDocument/documentHighlight", request_highlight, NULL},
	{"textDocument/documentSymbol", request_symbols, NULL},
	{"workspace/symbol", request_workspace_symbols, NULL},
	{"textDocument/semanticTokens/full", request_tokens, NULL},
	{"textDocument/prepareRename", request_prepare_rename, NULL},
	{"textDocument/rename", request_rename, NULL},
	{"textDocument/completion", request_completion, NULL},
	{"textDocument/signatureHelp", request_signature, NULL},
	{"textDocument/formatting", request_format, NULL},
	{"textDocument/codeAction", request_actions, NULL},
};

static const Method *method_find(const char *name)
{
	for (size_t i = 0; i < COUNT(methods); i++)
		if (strcmp(methods[i].name, name) == 0) return &methods[i];
	return NULL;
}

static json_t *run_request(Server *s, const Method *m, const char *name, json_t *params)
{
	if (s->shut_down) return server_fail(s, LSP_INVALID_REQUEST, "the server is shut down");
	if (!s->initialized && strcmp(name, "initialize") != 0)
		return server_fail(s, LSP_NOT_INITIALIZED, "the first request is initialize");
	if (!m || !m->request) return server_fail(s, LSP_METHOD_NOT_FOUND, "no such method");
	return m->request(s, params);
}

static void handle(Server *s, json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "method"));
	json_t *id = json_object_get(message, "id"), *params = json_object_get(message, "params");
	const Method *m = name ? method_find(name) : NULL;
	if (!name) {
		bool response = json_object_get(message, "result") || json_object_get(message, "error");
		if (response) return;
		server_fail(s, LSP_INVALID_REQUEST, "a message without a method");
		answer(s, id ? id : json_null(), NULL);
	} else if (id) {
		json_t *result = run_request(s, m, name, params);
		answer(s, id, result);
	} else if (m && m->notice && (s->initialized || m->notice == notice_exit)) {
		m->notice(s, params);
	}
}

/* --- the queue ---------------------------------------------------------------------------------------------- */

typedef struct Queue {
	json_t **at;
	size_t n, cap, taken;
} Queue;

static bool queue_add(Queue *q, json_t *message)
{
	if (q->taken == q->n) q->taken = q->n = 0;
	if (q->n == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 64;
		json_t **more = realloc(q->at, cap * sizeof *more);
		if (!more) return false;
		q->at = more;
		q->cap = cap;
	}
	q->at[q->n++] = message;
	return true;
}

/* A request that still waits is answered at once; one that was answered needs nothing. */
static void cancel(Server *s, Queue *q, json_t *params)
{
	json_t *id = json_object_get(params, "id");
	for (size_t i = q->taken; id && i < q->n; i++) {
		json_t *waiting = json_object_get(q->at[i], "id");
		if (!waiting || !json_object_get(q->at[i], "method") || !json_equal(waiting, id)) continue;
		server_fail(s, LSP_CANCELLED, "cancelled");
		answer(s, waiting, NULL);
		json_decref(q->at[i]);
		memmove(q->at + i, q->at + i + 1, (q->n - i - 1) * sizeof *q->at);
		q->n--;
		return;
	}
}

static void refuse(Server *s, int code, const char *why)
{
	json_t *nobody = json_null();
	fprintf(stderr, "nacre lsp: %s\n", why); /* who looks for the cause looks there */
	server_fail(s, code, why);
	answer(s, nobody, NULL);
}

/* Takes in what has arrived; waits for something when `wait`. False at the end of the input. */
static bool take_in(Server *s, Queue *q, bool wait)
{
	enum { MOST = 4096 };
	while (q->n - q->taken < MOST) {
		json_t *message = NULL;
		const char *why = "";
		Received got = transport_receive(&s->in, wait, &message, &why);
		if (got == RECEIVED_END) {
			if (*why) fprintf(stderr, "nacre lsp: %s\n", why);
			return false;
		}
		if (got == RECEIVED_NOTHING) return true;
		if (got == RECEIVED_BAD) {
			refuse(s, LSP_PARSE_ERROR, why);
			continue;
		}
		const char *name = json_string_value(json_object_get(message, "method"));
		if (!json_is_object(message)) {
			refuse(s, LSP_INVALID_REQUEST, "a message is an object");
			json_decref(message);
			continue;
		}
		if (name && strcmp(name, "$/cancelRequest") == 0) {
			cancel(s, q, json_object_get(message, "params"));
			json_decref(message);
			continue;
		}
		if (!queue_add(q, message)) json_decref(message);
		wait = false;
	}
	return true;
}

static void publish_changed(Server *s)
{
	for (Document *d = s->documents; d; d = d->next)
		if (d->changed) diagnostics_publish(s, d);
}

static void serve(Server *s)
{
	Queue q = {0};
	bool more = true;
	while (!s->ended && (more || q.taken < q.n)) {
		if (more) more = take_in(s, &q, q.taken == q.n);
		if (q.taken < q.n) {
			json_t *message = q.at[q.taken++];
			handle(s, message);
			json_decref(message);
		}
		if (q.taken == q.n && more) more = take_in(s, &q, false);
		if (q.taken == q.n && !s->shut_down) publish_changed(s);
		if (ferror(stdout)) break; /* nobody reads any more */
	}
	while (q.taken < q.n) json_decref(q.at[q.taken++]);
	free(q.at);
}

bool command_lsp(Tool *t)
{
	Server s = {.tool = t};
#ifdef __GLIBC__
	/* Each edit needs as much memory as the one before: asking the system for it anew took a quarter
	 * of the time. */
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
	signal(SIGPIPE, SIG_IGN);
	serve(&s);
	while (s.documents) {
		Document *d = s.documents;
		s.documents = d->next;
		document_free(d);
	}
	for (size_t i = 0; i < s.folders.n; i++) free(s.folders.at[i]);
	free(s.checkpoint);
	transport_close(&s.in);
	/* the specification: exit without shutdown is an error */
	return s.shut_down || tool_fail(t, "the client ended without `shutdown`");
}
