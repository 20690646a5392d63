/* What the files of `nacre generate` share: prompts and what follows them, which batches continue. */
#ifndef NACRE_TOOLS_GENERATE_H
#define NACRE_TOOLS_GENERATE_H
#include "text/text.h"
#include "tools/tool.h"

typedef struct Speed {
	uint32_t calls;
	double seconds;
	uint64_t cycles; /* Pearl */
} Speed;

/* A prompt and what follows it. */
typedef struct Passage {
	const char *name;   /* for messages */
	Counts source;      /* what the encoder reads, in a model that has one */
	Counts ids;         /* of the text */
	size_t n_prompt;    /* of ids */
	uint64_t seed;      /* of its draws */
	bool begun, shown;  /* shown: something of it is printed */
	const char *finish; /* why it ended; NULL: it goes on */
	TokenStream stream;
	Text text;       /* all of it, prompt and what follows */
	size_t printed;  /* bytes of text */
	size_t searched; /* bytes of text in which no stop text begins; at first those of the prompt */
	uint32_t rows;   /* of the batch that it was in */
	Speed encode, first, others; /* of its batch, as long as it went on */
	VEC(float) logits;           /* with --logits: a row for each token that was chosen */
} Passage;
typedef VEC(Passage) Passages;

typedef struct Writer {
	Tool *t;
	Runner r;
	bool encodes; /* the model has an encoder, which takes the prompts */
	uint32_t encode, prefill, decode;
	Sampler sampler;
	uint32_t most;        /* tokens to add */
	Arena *step;          /* of one call */
	Tokenizer *tokenizer; /* NULL: numbers only */
	Given given;          /* inputs of the encoder, in place of prompts */
	Counts stop_ids, start;
	Names stop_texts;
	json_t *results; /* with --json */
	Passages all;
	size_t live;     /* the passage that is being shown; those before it are done */
	uint32_t logits; /* with --logits: numbers in a row */
	bool used;       /* the session has seen calls */
	bool ended;      /* no more calls follow */
} Writer;

/* --- generate.c --- */
/* Prints what is there in the order of the prompts: the first that goes on as it grows, or numbers and JSON
 * when all have ended. */
void passages_show(Writer *w);

/* --- generate_text.c: numbers to text ------------------------------------------------------------- */
/* --stop: numbers, or with a tokenizer an added token by its name, or a text. */
bool stops_read(Writer *w);
/* --start: numbers, or with a tokenizer added tokens by their names. */
bool start_read(Writer *w);
bool stops(const Writer *w, int64_t id);
/* The text of the prompt. */
bool text_begin(Writer *w, Passage *p);
/* False after an error; *stop when a stop text is complete. */
bool text_add(Writer *w, Passage *p, int64_t id, bool *stop);
/* cut: it ends before a stop text. */
bool text_end(Writer *w, Passage *p, bool cut);
/* Prints what is new of it, and holds back what may begin a stop text unless it has ended. */
void text_print(Writer *w, Passage *p);

/* --- generate_batch.c: several passages at once --------------------------------------------------- */
/* Whether the entries are such as batches call; which of them take the prompts. */
bool entries_find(Writer *w);
/* Asked before anything is printed. */
bool prompt_fits(Writer *w, const Passage *p);
/* Continues all passages, as many at once as the model takes. */
bool batches_run(Writer *w);
/* Passages that the inputs given by --input are for. */
size_t given_rows(const Writer *w);

#endif
