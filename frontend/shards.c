/* Checkpoints in several files. The index says which file has which tensor; every file is mapped, and
 * their tensors make one list. Nothing of the index is believed before the files agree with it. */
#include "frontend/weights.h"

#include <jansson.h>
#include <string.h>

enum { MOST_SHARDS = 1000 };

typedef struct Shards {
	Arena *arena;
	Diags *d;
	const char *path, *folder;
	TensorFile *out;
	VEC(const char *) files; /* opened, in order */
	VEC(TensorFile) open;
} Shards;

static bool wrong(Shards *s, const char *what)
{
	diag_error(s->d, span_none(), "'%s' is no index of a checkpoint: %s", s->path, what);
	return false;
}

/* The file of that name, opened once; NULL after an error. */
static const TensorFile *shard_open(Shards *s, const char *file)
{
	TensorFile f;
	for (size_t i = 0; i < s->files.n; i++)
		if (strcmp(s->files.at[i], file) == 0) return &s->open.at[i];
	if (!*file || strchr(file, '/') || strcmp(file, "..") == 0 || s->files.n == MOST_SHARDS) {
		wrong(s, arena_printf(s->arena, "it names the file '%s', which is not beside it",
		                      shown_name(s->arena, file)));
		return NULL;
	}
	const char *path = arena_printf(s->arena, "%s%s", s->folder, shown_name(s->arena, file));
	if (!safetensors_open(s->arena, s->d, path, &f)) {
		diag_help(s->d, s->d->list.at[s->d->list.n - 1],
		          "'%s' names it as a part of the checkpoint", s->path);
		return NULL;
	}
	vec_push(s->arena, &s->out->shards, f.map);
	vec_push(s->arena, &s->files, arena_strdup(s->arena, file));
	vec_push(s->arena, &s->open, f);
	return &s->open.at[s->open.n - 1];
}

static bool read_map(Shards *s, const json_t *map)
{
	const char *key;
	json_t *value;
	TensorFile *out = s->out;
	out->list = NEW_ARRAY(s->arena, HostTensor, json_object_size(map) + 1);
	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	{
		const char *file = json_string_value(value);
		if (!file)
			return wrong(s, arena_printf(s->arena, "the file of '%s' is no text",
			                             shown_name(s->arena, key)));
		const TensorFile *shard = shard_open(s, file);
		if (!shard) return false;
		const HostTensor *t = tensor_file_find(shard, key);
		if (!t) {
			Diag *m = diag_error(s->d, span_none(), "'%s' has no tensor '%s', though '%s' says so",
			                     shard->path, shown_name(s->arena, key), s->path);
			diag_help(s->d, m,
			          "the files belong to different checkpoints: fetch all of them again");
			return false;
		}
		out->list[out->n++] = *t;
	}
	host_tensors_sort(out->list, out->n);
	return out->n || wrong(s, "its weight_map is empty");
}

bool shards_parse(Arena *a, Diags *d, const char *path, const uint8_t *data, size_t size,
                  TensorFile *out)
{
	json_error_t error;
	*out = (TensorFile){.path = path};
	Shards s = {.arena = a, .d = d, .path = path, .out = out};
	const char *slash = strrchr(path, '/');
	s.folder = slash ? arena_strndup(a, path, (size_t)(slash - path) + 1) : "";
	json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
	const json_t *map = json_object_get(root, "weight_map");
	bool ok =
		root ? map ? json_is_object(map) && read_map(&s, map) : wrong(&s, "it has no weight_map")
			 : wrong(&s, shown_name(a, error.text));
	if (root && map && !json_is_object(map)) wrong(&s, "its weight_map is no object");
	json_decref(root);
	if (!ok) tensor_file_close(out);
	return ok;
}
