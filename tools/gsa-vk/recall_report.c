/* How an examination went: a table, JSON, a drawing. */
#include "recall.h"

#include "format.h"

#include <math.h>
#include <stdio.h>

static double share(recall_count c)
{
    return c.asked ? (double)c.right / c.asked : NAN;
}

static void print_share(recall_count c)
{
    if (c.asked) {
        printf(" %7.1f %%", 100 * share(c));
    } else {
        printf(" %9s", "-");
    }
}

static int print_table(const recall *r)
{
    bool talks = false, pairs = false;
    for (size_t i = 0; i < r->n_points; i++) {
        const recall_point *p = &r->points[i];
        if (p->pairs) continue;
        if (!talks)
            printf("%5s %7s %9s %9s %9s %9s %9s %9s %11s\n", "facts", "tokens", "questions", "all", "known", "changed",
                "unknown", "yes/no", "new lines");
        talks = true;
        printf("%5u %7.0f %9u", (unsigned)p->n_facts, p->mean_tokens, (unsigned)p->all.asked);
        print_share(p->all);
        print_share(p->known);
        print_share(p->changed);
        print_share(p->unknown);
        print_share(p->check);
        printf("  ");
        print_share(p->new_words);
        printf("\n");
    }
    for (size_t i = 0; i < r->n_points; i++) {
        const recall_point *p = &r->points[i];
        if (!p->pairs) continue;
        if (!pairs)
            printf("%s%5s %7s %9s %9s   multi-query associative recall\n", talks ? "\n" : "", "pairs", "tokens",
                "questions", "all");
        pairs = true;
        printf("%5u %7.0f %9u", (unsigned)p->n_facts, p->mean_tokens, (unsigned)p->all.asked);
        print_share(p->all);
        printf("\n");
    }
    return report_stdout();
}

static json_t *count_json(recall_count c)
{
    return json_pack(
        "{s:i, s:i, s:o}", "right", (int)c.right, "asked", (int)c.asked, "share", format_json_real(share(c)));
}

static int print_json(const recall *r)
{
    json_t *points = json_array();
    for (size_t i = 0; i < r->n_points; i++) {
        const recall_point *p = &r->points[i];
        json_t *o = json_pack("{s:s, s:i, s:i, s:f, s:o}", "task", p->pairs ? "pairs" : "conversation", "facts",
            (int)p->n_facts, "tokens_asked_for", (int)p->n_tokens, "tokens", p->mean_tokens, "all", count_json(p->all));
        if (!p->pairs) {
            json_object_set_new(o, "known", count_json(p->known));
            json_object_set_new(o, "changed", count_json(p->changed));
            json_object_set_new(o, "unknown", count_json(p->unknown));
            json_object_set_new(o, "yes_no", count_json(p->check));
            json_object_set_new(o, "new_lines", count_json(p->new_words));
        }
        json_array_append_new(points, o);
    }
    gsa_device_info device;
    gsa_device_info_get(r->a->device, &device);
    json_t *all = json_pack("{s:s, s:i, s:o, s:o, s:I, s:I, s:b, s:f, s:I, s:o}", "schema", "gsa-vk recall", "version",
        1, "model", format_json_text(r->a->model_path), "device", format_json_text(device.name), "seed",
        (json_int_t)r->options->seed, "conversations", (json_int_t)r->options->rows, "held_out", !r->options->seen,
        "seconds", r->seconds, "tokens_evaluated", (json_int_t)r->n_evaluated, "points", points);
    return format_json_print(all, 2);
}

/* --- the drawing: two panels, accuracy by number of facts and by length --- */

typedef struct panel {
    double x, low, high; /* logarithms of the axis */
    const char *title, *axis;
} panel;

#define HEIGHT 260
#define WIDTH  360

static double to_x(const panel *p, double value)
{
    return p->x + (log2(value) - p->low) / fmax(p->high - p->low, 1e-9) * WIDTH;
}

static double to_y(double value)
{
    return 40 + HEIGHT * (1 - value);
}

static void draw_frame(FILE *f, const panel *p)
{
    fprintf(f, "<text x=\"%.0f\" y=\"24\" font-weight=\"bold\">%s</text>\n", p->x, p->title);
    for (int i = 0; i <= 10; i += 2)
        fprintf(f,
            "<path d=\"M%.0f %.1fh%d\" stroke=\"#ddd\"/><text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%d %%</text>\n",
            p->x, to_y(i / 10.), WIDTH, p->x - 6, to_y(i / 10.) + 4, i * 10);
    for (double v = ceil(p->low); v <= p->high + .01; v++)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", to_x(p, exp2(v)), HEIGHT + 58,
            exp2(v));
    fprintf(f, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", p->x + WIDTH / 2., HEIGHT + 76, p->axis);
}

/* kind: 0 all, 1 known, 2 changed, 3 unknown; -1 pairs. */
static recall_count count_of(const recall_point *p, int kind)
{
    return kind == 1 ? p->known : kind == 2 ? p->changed : kind == 3 ? p->unknown : p->all;
}

static void draw_curve(FILE *f, const recall *r, const panel *p, bool by_length, int kind, const char *colour)
{
    uint32_t fixed =
        0; /* what the other axis is held at: that of the first point, or the facts that have most lengths */
    for (size_t i = 0; i < r->n_points && !fixed; i++)
        if (!r->points[i].pairs) fixed = r->points[i].n_tokens;
    uint32_t facts = 0;
    for (size_t i = 0; i < r->n_points; i++)
        if (!r->points[i].pairs && r->points[i].n_tokens != fixed) facts = r->points[i].n_facts;
    char move = 'M';
    fprintf(f, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" d=\"", colour);
    for (double last = 0;;) { /* in the order of the axis */
        const recall_point *next = NULL;
        for (size_t i = 0; i < r->n_points; i++) {
            const recall_point *q = &r->points[i];
            const double x = by_length ? q->n_tokens : q->n_facts;
            if (q->pairs != (kind < 0) || count_of(q, kind).asked == 0 || x <= last) continue;
            if (kind >= 0 && (by_length ? q->n_facts != facts : q->n_tokens != fixed)) continue;
            if (!next || x < (by_length ? next->n_tokens : next->n_facts)) next = q;
        }
        if (!next) break;
        last = by_length ? next->n_tokens : next->n_facts;
        fprintf(f, "%c%.1f %.1f", move, to_x(p, last), to_y(share(count_of(next, kind))));
        move = 'L';
    }
    fprintf(f, "%s\"/>\n", move == 'M' ? "M0 0" : "");
}

static int draw(const recall *r, const char *path)
{
    static const struct {
        const char *name, *colour;
        int kind;
    } curves[] = {{"facts that hold", "#1667b0", 1}, {"changed ones", "#c0392b", 2}, {"never told", "#1d8348", 3},
        {"bare pairs", "#8e44ad", -1}};
    panel panels[2] = {{60, 0, 0, "Whole replies right, by number of facts", "facts (or pairs)"},
        {500, 30, 0, "by length of the conversation", "tokens before the question"}};
    for (size_t i = 0; i < r->n_points; i++) {
        const recall_point *p = &r->points[i];
        panels[0].high = fmax(panels[0].high, log2(p->n_facts));
        if (p->pairs) continue;
        panels[1].low = fmin(panels[1].low, log2(p->n_tokens));
        panels[1].high = fmax(panels[1].high, log2(p->n_tokens));
    }
    output out;
    if (output_open(&out, path) != 0) return 1;
    FILE *f = out.file;
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 380\" font-family=\"sans-serif\" "
               "font-size=\"12\">\n"
               "<rect width=\"900\" height=\"380\" fill=\"#fff\"/>\n");
    for (int k = 0; k < 2; k++) {
        draw_frame(f, &panels[k]);
        for (size_t i = 0; i < APP_COUNT(curves); i++)
            if (k == 0 || curves[i].kind >= 0) draw_curve(f, r, &panels[k], k == 1, curves[i].kind, curves[i].colour);
    }
    for (size_t i = 0; i < APP_COUNT(curves); i++)
        fprintf(f, "<path d=\"M%zu 366h24\" stroke=\"%s\" stroke-width=\"2\"/><text x=\"%zu\" y=\"370\">%s</text>\n",
            60 + 160 * i, curves[i].colour, 90 + 160 * i, curves[i].name);
    fprintf(f, "</svg>\n");
    return output_finish(&out, ferror(f) ? fail("cannot write %s", path) : 0);
}

int recall_report(const recall *r, const char *svg)
{
    int rc = r->a->json ? print_json(r) : print_table(r);
    if (rc == 0 && svg) rc = draw(r, svg);
    return rc;
}
