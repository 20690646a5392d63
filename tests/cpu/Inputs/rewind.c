/* Goes on from where it was set back to: the second session never read what the first has forgotten. */
#include "given.h"

#include <stdio.h>
#include <string.h>

static int failed(const NacreError *e)
{
	printf("%s\n", e->text);
	return 1;
}

int main(void)
{
	static float embed[11 * 8];
	for (int i = 0; i < 11 * 8; i++) embed[i] = (float)(i * 37 % 19) * 0.1f - 0.9f;
	const int32_t right[] = {1, 2, 3, 4}, wrong[] = {9, 10, 8};
	float first[8], second[8];
	NacreModel *m;
	NacreSession *s, *t;
	NacreError e;
	if (given_open(1, &m, &e)) return failed(&e);
	NacreTensor w = {NACRE_F32, 2, {11, 8}, embed};
	if (nacre_model_bind(m, 0, 0, &w, &e)) return failed(&e);
	if (nacre_session_new(m, NULL, 0, &s, &e) || nacre_session_new(m, NULL, 0, &t, &e))
		return failed(&e);
	if (given_prefill(s, 1, 2, right, first, &e) || given_prefill(s, 1, 3, wrong, first, &e))
		return failed(&e);
	if (given_rewind(s, 6, &e) != NACRE_BAD_ARGUMENT) return 1;
	printf("%s\n", e.text);
	if (given_rewind(s, 13, &e) != NACRE_BAD_ARGUMENT) return 1;
	printf("%s\n", e.text);
	if (nacre_call(s, 1, NULL, NULL, 0, NULL, &e) != NACRE_MISSING) return 1;
	printf("%s\n", e.text);
	if (given_rewind(s, 2, &e) || given_prefill(s, 1, 2, right + 2, first, &e)) return failed(&e);
	if (given_prefill(t, 1, 2, right, second, &e) || given_prefill(t, 1, 2, right + 2, second, &e))
		return failed(&e);
	printf("pos %lld, draft %lld, %s\n", (long long)nacre_session_dim(s, "pos"),
	       (long long)nacre_session_dim(s, "draft"),
	       memcmp(first, second, sizeof first) ? "different" : "the same");
	nacre_session_free(s);
	nacre_session_free(t);
	nacre_model_free(m);
	return 0;
}
