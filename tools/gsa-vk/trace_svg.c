/* The drawing of a trace: for each layer and head two maps side by side, slots down and tokens across. */
#include "trace.h"

#include <math.h>
#include <string.h>

#define LEVELS 9  /* shades; the root of a value counts, so that small ones are seen */
#define CELL   12 /* width of a token */
#define LEFT   52
#define TOP    74 /* title and legend */
#define LABELS 84 /* tokens above the maps of a layer */
#define GAP    6

typedef const float *(*map_of)(const trace *, uint32_t, uint32_t, size_t);

static const struct {
    const char *name, *text;
    map_of map;
} maps[2] = {{"write", "written: part of the slot that the token replaces", trace_write},
    {"read", "read: part of the slot in what the token reads", trace_read}};

static double largest(const trace *t, map_of map)
{
    double most = 1e-9;
    for (size_t l = 0; l < t->layers.n; l++)
        for (size_t h = 0; h < t->heads.n; h++)
            for (size_t i = 0; i < t->tokens->n; i++) {
                const float *v = map(t, (uint32_t)t->layers.data[l], (uint32_t)t->heads.data[h], i);
                for (uint32_t m = 0; m < t->a->info.M; m++) most = fmax(most, isfinite(v[m]) ? v[m] : 0);
            }
    return most;
}

static int level_of(double value, double most)
{
    return value > 0 ? (int)lround(LEVELS * sqrt(fmin(value / most, 1))) : 0;
}

/* XML text, at most n characters of it. */
static void put_text(FILE *f, const char *text, size_t n)
{
    for (size_t i = 0; *text && (i < n || (*text & 0xC0) == 0x80); text++) {
        i += (*text & 0xC0) != 0x80;
        switch (*text) {
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '&':
            fputs("&amp;", f);
            break;
        default:
            fputc(*text, f);
            break;
        }
    }
}

/* Cells of one shade, neighbours of a slot in one stroke; in cells, scaled by the group around. */
static void put_level(FILE *f, const trace *t, map_of map, uint32_t layer, uint32_t head, double most, int level)
{
    bool open = false;
    for (uint32_t m = 0; m < t->a->info.M; m++)
        for (size_t i = 0, n; i < t->tokens->n; i += n ? n : 1) {
            for (n = 0; i + n < t->tokens->n && level_of(map(t, layer, head, i + n)[m], most) == level;) n++;
            if (n == 0) continue;
            if (!open) fprintf(f, "<path class=\"l%d\" d=\"", level);
            open = true;
            fprintf(f, "M%zu %uh%zuv1h-%zuz", i, (unsigned)m, n, n);
        }
    if (open) fputs("\"/>", f);
}

static void put_panel(
    FILE *f, const trace *t, int which, uint32_t layer, uint32_t head, double most, int x, int y, int cell)
{
    fprintf(f,
        "<g class=\"%s\" data-layer=\"%u\" data-head=\"%u\" transform=\"translate(%d %d) scale(%d %d)\">"
        "<rect class=\"frame\" width=\"%zu\" height=\"%u\"/>",
        maps[which].name, (unsigned)layer, (unsigned)head, x, y, CELL, cell, t->tokens->n, (unsigned)t->a->info.M);
    for (int k = 1; k <= LEVELS; k++) put_level(f, t, maps[which].map, layer, head, most, k);
    fputs("</g>\n", f);
}

static void put_tokens(FILE *f, const trace *t, int x, int y)
{
    for (size_t i = 0; i < t->tokens->n; i++) {
        char text[64];
        trace_token_text(t, i, text);
        fprintf(f, "<text class=\"token\" transform=\"translate(%.0f %d) rotate(-90)\">", x + (i + .8) * CELL, y - 3);
        put_text(f, text, 12);
        fputs("</text>", f);
    }
    fputc('\n', f);
}

static void put_legend(FILE *f, int which, double most, int x)
{
    fprintf(f, "<text x=\"%d\" y=\"40\">%s</text>\n<g class=\"%s\">", x, maps[which].text, maps[which].name);
    for (int k = 1; k <= LEVELS; k++)
        fprintf(f, "<rect class=\"l%d\" x=\"%d\" y=\"46\" width=\"26\" height=\"8\"/>", k, x + 26 * (k - 1));
    fputs("</g>\n", f);
    for (int k = 1; k <= LEVELS; k += 2) {
        const double root = (double)k / LEVELS;
        fprintf(f, "<text class=\"small\" x=\"%d\" y=\"64\">%.2g</text>", x + 26 * (k - 1) + 2, most * root * root);
    }
    fputc('\n', f);
}

static void put_style(FILE *f)
{
    fputs("<style>text{font:11px sans-serif;fill:#222}.token{font:9.5px monospace}.small{font-size:9px}"
          ".title{font-size:14px;font-weight:bold}.back{fill:#fff}.frame{fill:#8882}"
          ".write{fill:#d4580a}.read{fill:#1660c0}",
        f);
    for (int k = 1; k <= LEVELS; k++) fprintf(f, ".l%d{fill-opacity:%.2f}", k, (double)k / LEVELS);
    fputs("@media(prefers-color-scheme:dark){text{fill:#ddd}.back{fill:#0d1117}.write{fill:#ffa657}.read{fill:#79c0ff}}"
          "</style>\n",
        f);
}

int trace_draw(const trace *t, FILE *f)
{
    const int cell = t->layers.n * t->heads.n <= 4 ? 4 : 2, panel = (int)t->a->info.M * cell;
    const int map_width = CELL * (int)t->tokens->n, right = LEFT + (map_width < 260 ? 260 : map_width) + 24;
    const int width = right + (map_width < 260 ? 260 : map_width) + 24;
    const int height = TOP + (int)t->layers.n * (LABELS + (int)t->heads.n * (panel + GAP) + 10) + 10;
    const double most[2] = {largest(t, trace_write), largest(t, trace_read)};
    const char *name = strrchr(t->a->model_path, '/');
    name = name && name[1] ? name + 1 : t->a->model_path;
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n<title>",
        width, height, width, height);
    put_text(f, name, 80);
    fprintf(f, ": slots written and read at each of %zu tokens</title>\n", t->tokens->n);
    put_style(f);
    fprintf(f, "<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n<text class=\"title\" x=\"%d\" y=\"20\">", width,
        height, LEFT);
    put_text(f, name, 80);
    fprintf(f, ": the %u slots of a head, from top to bottom, at each token</text>\n", (unsigned)t->a->info.M);
    for (int k = 0; k < 2; k++) put_legend(f, k, most[k], k ? right : LEFT);
    fputs("<g shape-rendering=\"crispEdges\">\n", f);
    int y = TOP;
    for (size_t l = 0; l < t->layers.n; l++) {
        const uint32_t layer = (uint32_t)t->layers.data[l];
        y += LABELS;
        fprintf(f, "<text x=\"6\" y=\"%d\">layer %u</text>\n", y - 4, (unsigned)layer);
        put_tokens(f, t, LEFT, y);
        put_tokens(f, t, right, y);
        for (size_t h = 0; h < t->heads.n; h++, y += panel + GAP) {
            const uint32_t head = (uint32_t)t->heads.data[h];
            fprintf(f, "<text x=\"6\" y=\"%d\">head %u</text>\n", y + 12, (unsigned)head);
            for (int k = 0; k < 2; k++) put_panel(f, t, k, layer, head, most[k], k ? right : LEFT, y, cell);
        }
        y += 10;
    }
    fputs("</g>\n</svg>\n", f);
    return 0;
}
