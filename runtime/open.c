/* Models from shared libraries, and their end. */
#include "runtime/internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

NacreStatus nacre_model_open(const char *path, uint32_t threads, NacreModel **out, NacreError *e)
{
	*out = NULL;
	FileMap map;
	const char *why = NULL;
	if (!file_map(path, &map, &why)) return fail(e, NACRE_IO, "`%s`: %s", path, why);
	bool elf = map.size > 4 && memcmp(map.at, "\177ELF", 4) == 0;
	file_unmap(&map);
	if (!elf) return fail(e, NACRE_BAD_ARTEFACT, "`%s` is not a shared library", path);
	size_t n = strlen(path) + 3;
	char *name = malloc(n); /* without a slash the system would search its own folders */
	if (!name) return no_memory(e, n);
	snprintf(name, n, "%s%s", strchr(path, '/') ? "" : "./", path);
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	free(name);
	if (!library) {
		why = dlerror();
		return fail(e, NACRE_BAD_ARTEFACT, "`%s` cannot be loaded: %s", path,
		            why ? why : "no reason was given");
	}
	const NacreArtefact *a = dlsym(library, "nacre_artefact");
	NacreStatus s = a ? nacre_model_new(a, threads, out, e)
	                  : fail(e, NACRE_BAD_ARTEFACT, "`%s` is not a model compiled by nacre", path);
	if (s)
		dlclose(library);
	else
		(*out)->library = library;
	return s;
}

void nacre_model_free(NacreModel *m)
{
	if (!m) return;
	pool_free(m->pool);
	for (uint32_t i = 0; i < m->n_weight; i++) memory_release(&m->weight[i].own);
	memory_release(&m->consts);
	arena_free(m->arena);
	pthread_mutex_destroy(&m->lock);
	if (m->library) dlclose(m->library);
	free(m);
}
