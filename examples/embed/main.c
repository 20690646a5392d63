/* A compiled model called from C through its header: sorts the test images of examples/fashion.
 *   nacre compile examples/fashion/fashion.nac --target cpu --weights examples/fashion/weights.safetensors -o fashion.so
 *   cc -I. -Iruntime examples/embed/main.c ./fashion.so -o classify && ./classify examples/fashion/images.npy */
#include "fashion.h"
#include <stdio.h>

int main(int argc, char **argv)
{
	static float images[32][28 * 28], logits[32][10];
	FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
	if (!file || fseek(file, -(long)sizeof images, SEEK_END) ||
	    !fread(images, sizeof images, 1, file)) {
		fprintf(stderr, "usage: classify IMAGES.npy, 32 images of 28 x 28 floats\n");
		return 1;
	}
	NacreModel *model = NULL;
	NacreSession *session = NULL;
	NacreError error;
	if (fashion_open(0, &model, &error) || nacre_session_new(model, NULL, 0, &session, &error) ||
	    fashion_classify(session, 32, images[0], logits[0], &error))
		fprintf(stderr, "%s\n", error.text);
	for (int i = 0; i < 32; i++) {
		int best = 0;
		for (int k = 1; k < 10; k++) best = logits[i][k] > logits[i][best] ? k : best;
		printf("%d%s", best, i == 31 ? "\n" : " ");
	}
	nacre_session_free(session);
	nacre_model_free(model);
	return fclose(file);
}
