/* nacre graph: an entry of a model as a picture (SVG), as Graphviz text or as JSON. */
#include "tools/graph.h"

#include <stdlib.h>
#include <string.h>

/* --fused: what the passes of a target make of the module. */
static bool fuse(Tool *t, Module *m)
{
	TargetId id;
	if (!target_chosen(t, TARGET_CPU, &id)) return false;
	Target *traits = NEW(t->arena, Target);
	if (!target_traits(t, id, traits)) return false;
	PassOptions o = {.names = traits->pipeline};
	return passes_run(m, &t->d, traits, &o);
}

typedef enum PictureFormat {
	FORMAT_SVG,
	FORMAT_DOT,
	FORMAT_JSON,
	NUM_PICTURE_FORMATS
} PictureFormat;

/* By --format, else by the name of --out. */
static bool format_chosen(Tool *t, PictureFormat *out)
{
	static const char *const name[] = {"svg", "dot", "json"};
	*out = FORMAT_SVG;
	for (int i = 0; i < NUM_PICTURE_FORMATS; i++) {
		if (t->a.format ? strcmp(t->a.format, name[i]) == 0
		                : t->a.out && path_ends(t->a.out, arena_printf(t->arena, ".%s", name[i]))) {
			*out = (PictureFormat)i;
			return true;
		}
	}
	if (t->a.format) return tool_fail(t, "--format %s: it is one of svg, dot, json", t->a.format);
	return true;
}

bool command_graph(Tool *t)
{
	PictureFormat format;
	if (!format_chosen(t, &format)) return false;
	if (t->a.out && !path_writable(t, t->a.out)) return false;
	Module *m = module_load(t, t->a.files.at[0]);
	if (!m) return false;
	const Entry *e = entry_chosen(t, m);
	if (!e) return false;
	Picture v = {.t = t, .m = m, .entry = e, .fused = t->a.fused};
	if (!dims_given_read(t, m, &v.given)) return false;
	if (v.fused && !fuse(t, m)) return false;
	view_build(&v);
	if (v.boxes.n > BOXES_LIMIT) {
		Diag *d =
			diag_error(&t->d, span_none(), "the picture would have %zu boxes; at most %d are drawn",
		               (size_t)v.boxes.n, BOXES_LIMIT);
		diag_help(&t->d, d, "make the model smaller by --set");
		return false;
	}
	view_fold_repeats(&v);
	view_fold(&v, option_given(t, OPT_depth) ? t->a.depth : NO_PORT);
	if (format == FORMAT_JSON && !t->a.out) {
		report_json(t, graph_json(&v));
		return true;
	}
	Text text = text_new(t->arena);
	if (format == FORMAT_JSON) {
		json_t *j = graph_json(&v);
		char *s = json_dumps(j, JSON_INDENT(2));
		json_decref(j);
		if (!s) return tool_fail(t, "out of memory");
		text_printf(&text, "%s\n", s);
		free(s);
	} else if (format == FORMAT_DOT) {
		graph_dot(&v, &text);
	} else {
		view_link(&v);
		if (!view_layout(&v)) return false;
		graph_svg(&v, &text);
	}
	return write_text(t, &text);
}
