/* What a tokenizer is inside: steps read from the file, and the vocabulary. Only for this room. */
#ifndef NACRE_TEXT_TOKENIZER_H
#define NACRE_TEXT_TOKENIZER_H
#include "text/text.h"

typedef struct Regex Regex;
typedef struct Charsmap Charsmap;
typedef enum StepKind {
	/* normalizers */
	NORMALIZE_NFC,
	NORMALIZE_NFD,
	NORMALIZE_NFKC,
	NORMALIZE_NFKD,
	NORMALIZE_LOWERCASE,
	NORMALIZE_STRIP_ACCENTS,
	NORMALIZE_STRIP,
	NORMALIZE_REPLACE,
	NORMALIZE_PREPEND,
	NORMALIZE_BERT,
	NORMALIZE_NMT,
	NORMALIZE_BYTE_LEVEL,
	NORMALIZE_PRECOMPILED,
	/* pre-tokenizers */
	SPLIT_BYTE_LEVEL,
	SPLIT_METASPACE,
	SPLIT_WHITESPACE,
	SPLIT_WHITESPACE_ONLY,
	SPLIT_BERT,
	SPLIT_PATTERN,
	SPLIT_DIGITS,
	SPLIT_PUNCTUATION,
	SPLIT_FIXED_LENGTH,
	/* post-processors */
	PROCESS_TEMPLATE,
	PROCESS_NOTHING,
	/* decoders */
	DECODE_BYTE_LEVEL,
	DECODE_METASPACE,
	DECODE_WORDPIECE,
	DECODE_BYTE_FALLBACK,
	DECODE_FUSE,
	DECODE_STRIP,
	DECODE_REPLACE,
	DECODE_BPE,
	SEQUENCE
} StepKind;
typedef enum SplitBehavior {
	SPLIT_REMOVED,
	SPLIT_ISOLATED,
	SPLIT_MERGED_PREVIOUS,
	SPLIT_MERGED_NEXT,
	SPLIT_CONTIGUOUS
} SplitBehavior;
typedef enum PrependScheme { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } PrependScheme;

typedef struct Step Step;
struct Step {
	StepKind kind;
	TextBytes pattern, content; /* what is looked for, what takes its place (or is prepended) */
	const Regex *regex;         /* in place of pattern; may be NULL */
	const Charsmap *charsmap;   /* NORMALIZE_PRECOMPILED */
	SplitBehavior behavior;
	PrependScheme prepend;
	bool invert, split, left, right, clean, chinese, accents, lowercase;
	uint32_t start, stop;     /* DECODE_STRIP; SPLIT_FIXED_LENGTH: start characters */
	const Step *const *parts; /* SEQUENCE */
	const uint32_t *ids;      /* PROCESS_TEMPLATE: NO_TOKEN stands for the text */
	size_t n;                 /* of parts or ids */
};

#define NO_TOKEN UINT32_MAX
typedef enum ModelKind { MODEL_BPE, MODEL_WORDPIECE, MODEL_UNIGRAM, MODEL_WORDLEVEL } ModelKind;
typedef struct VocabSlot {
	TextBytes text;
	uint32_t id; /* NO_TOKEN: free */
} VocabSlot;
typedef struct MergeSlot {
	uint32_t left, right, rank, id; /* rank NO_TOKEN: free */
} MergeSlot;
typedef struct AddedToken {
	TextBytes text,
		search; /* search: the text normalized when it is looked for in normalized text */
	uint32_t id;
	bool single_word, lstrip, rstrip, normalized, special;
} AddedToken;

/* What "truncation" and "padding" say of a single text. */
typedef struct Fit {
	bool truncates, cut_left, only_second, pad_left;
	uint32_t most;            /* tokens, those of the post-processor included */
	uint32_t least, multiple; /* 0: any */
	uint32_t pad;
} Fit;

struct Tokenizer {
	const Step *normalizer, *splitter, *processor, *decoder; /* each may be NULL */
	Fit fit;
	ModelKind model;
	VocabSlot *vocab; /* a power of two; open addressing */
	size_t vocab_mask, longest;
	TextBytes *tokens; /* by number; at NULL: no such token */
	double *scores;    /* Unigram, by number */
	double least_score;
	size_t n_tokens;
	MergeSlot *merges;
	size_t merges_mask;
	uint32_t unk;        /* or NO_TOKEN */
	uint32_t bytes[256]; /* of <0x00> to <0xFF>, or NO_TOKEN */
	bool fuse_unk, byte_fallback, ignore_merges;
	TextBytes prefix, suffix; /* of pieces inside a word; of the last */
	size_t longest_word;      /* WordPiece, characters */
	AddedToken *added;
	size_t n_added;
	bool *special;            /* by number */
	uint32_t *added_order[2]; /* those looked for in raw, in normalized text: longest first */
	size_t n_order[2];
	bool added_begins[2][256]; /* bytes that one of them begins with */
};

/* A piece of text on its way to be tokens; those of id other than NO_TOKEN are done. */
typedef struct Piece {
	TextBytes text;
	uint32_t id;
	bool first; /* begins where the whole text begins */
} Piece;
typedef VEC(Piece) Pieces;
typedef VEC(uint32_t) IdList;

/* --- unicode.c --- */
TextBytes utf8_lossy(Arena *a, const char *s, size_t n);
/* The character at s (valid UTF-8), its bytes in *n. */
uint32_t utf8_next(const char *s, size_t left, size_t *n);
void utf8_put(Text *t, uint32_t c);
bool char_is_space(uint32_t c);
bool char_is_word(uint32_t c);
bool char_is_number(uint32_t c);
bool char_is_punctuation(uint32_t c);
bool char_is_other(uint32_t c);
bool char_is_mark(uint32_t c, bool nonspacing);
bool char_is_chinese(uint32_t c);
uint32_t byte_char(uint8_t b); /* GPT-2's printable character of a byte */
int byte_of_char(uint32_t c);  /* and back; -1 */
bool bytes_same(TextBytes a, TextBytes b);
TextBytes text_bytes(const Text *t);

/* --- regex.c --- Oniguruma's patterns as PCRE2 reads them; what would differ is refused. */
const Regex *regex_new(Arena *a, const char *pattern, size_t n, const char **why);
typedef struct Match {
	size_t begin, end;
} Match;
typedef VEC(Match) Matches;
/* All matches in valid UTF-8. False: the pattern asks for too much work. */
bool regex_matches(const Regex *r, Arena *a, TextBytes s, Matches *out);
bool step_matches(const Step *s, Arena *a, TextBytes text, Matches *out);
bool step_replace(const Step *s, Arena *a, TextBytes text, TextBytes *out);

/* --- normalize.c --- False: a regex gave up. */
bool normalize(const Step *s, Arena *a, TextBytes *text);

/* --- precompiled.c --- NULL and *why for bytes that are no charsmap. */
const Charsmap *charsmap_read(Arena *a, TextBytes base64, const char **why);
TextBytes charsmap_apply(const Charsmap *m, Arena *a, TextBytes s);

/* --- encode.c --- tokens that the post-processor puts around a text. */
size_t processor_adds(const Step *s);

/* --- split.c --- */
bool split_pieces(const Step *s, Arena *a, Pieces *pieces);
const Regex *split_regex(Arena *a, StepKind kind, const char **why);

/* --- vocab.c --- */
uint32_t vocab_find(const Tokenizer *t, const char *s, size_t n);
void vocab_make(Tokenizer *t, Arena *a, size_t n);
void vocab_add(Tokenizer *t, TextBytes text, uint32_t id);
const MergeSlot *merge_find(const Tokenizer *t, uint32_t left, uint32_t right);
void merge_add(Tokenizer *t, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);

/* --- bpe.c, unigram.c, wordpiece.c: tokens of one piece, appended in arena a --- */
void bpe_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out);
void unigram_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out);
void wordpiece_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out);

/* --- added.c --- */
void added_index(Tokenizer *t, Arena *a);
/* Splits the text at added tokens of the raw or the normalized kind. */
void added_split(const Tokenizer *t, Arena *a, bool normalized, Piece piece, Pieces *out);
#endif
