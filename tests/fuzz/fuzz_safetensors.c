/* Fuzzes the reader of safetensors: no crash, no leak, and an error exactly when it fails. */
#include "frontend/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the first and last element of each tensor. */
static void touch(Diags *d, const HostTensor *list, size_t n)
{
	volatile double sum = 0;
	for (size_t i = 0; i < n; i++) {
		int64_t count = host_tensor_count(&list[i]);
		if (count == 0) continue;
		sum += dtype_load(list[i].dtype, list[i].data, 0);
		sum += dtype_load(list[i].dtype, list[i].data, count - 1);
	}
	if (n && d->errors) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	TensorFile f;
	safetensors_parse(a, &d, "fuzz", data, size, &f);
	touch(&d, f.list, f.n);
	arena_free(a);
	return 0;
}
