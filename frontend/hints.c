/* What people who come from PyTorch try to write, and what is written instead: hints.def by name. */
#include "frontend/build.h"

#include <string.h>

const char *hint_for(const char *word)
{
	static const struct {
		const char *word, *help;
	} hints[] = {
#define HINT(word, help) {word, help},
#include "frontend/hints.def"
	};
	for (size_t i = 0; i < COUNT(hints); i++)
		if (strcmp(hints[i].word, word) == 0) return hints[i].help;
	return NULL;
}

/* torch.relu_ changes its argument; nothing does so here. */
static const char *without_underscore(Build *b, const char *word)
{
	size_t n = strlen(word);
	return n > 1 && word[n - 1] == '_' ? arena_strndup(b->arena, word, n - 1) : word;
}

void help_with_word(Build *b, Diag *of, const char *word, const char *first)
{
	const char *plain = without_underscore(b, word), *hint = hint_for(word);
	const Builtin *f = builtin_find(plain);
	const Binding *k = b->frame ? scope_find(b->frame->scope, plain) : NULL;
	bool changed = plain != word;
	if (!hint) hint = hint_for(plain);
	if (f)
		diag_help(b->d, of, "%sit is a function:  %s",
		          changed ? "no function changes its argument; " : "", builtin_shown(b, f, first));
	else if (k && k->item.kind == ITEM_FUNCTION)
		diag_help(b->d, of, "it is a function:  %s(%s%s)", plain, first ? first : "x",
		          k->item.function->def->list.n > 1 ? ", .." : "");
	else if (k && k->item.kind == ITEM_LAYER)
		diag_help(b->d, of, "layers are members:  use name: %s(..)  and then  name(x)", plain);
	else if (hint)
		diag_help(b->d, of, "%s", hint);
}
