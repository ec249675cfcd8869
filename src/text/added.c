#include "text/added.h"

#include "text/unicode.h"
#include "util/status.h"

#include <stdlib.h>

static int compare(const void *x, const void *y)
{
    const gsai_added *a = x, *b = y;
    const int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
    if (order) return order;
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void gsai_added_index_free(const gsai_vocab *v, gsai_added_index *index)
{
    gsai_free(&v->allocator, index->tokens);
    gsai_free(&v->allocator, index->nodes);
    *index = (gsai_added_index){0};
}

/* The child of a node for a byte; 0 = none. */
static uint32_t child(const gsai_added_index *index, uint32_t node, uint8_t byte)
{
    if (!node) return index->root[byte];
    const gsai_added_node *nodes = index->nodes;
    uint32_t lo = nodes[node].first, hi = lo + nodes[node].n_children;
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (nodes[mid].byte <= byte)
            lo = mid;
        else
            hi = mid;
    }
    return lo < hi && nodes[lo].byte == byte ? lo : 0;
}

/* The sorted tokens below a node: all start with it. */
typedef struct range {
    uint32_t begin, end;
} range;

/* Breadth first, so that the children of a node lie together and shorter states are done before longer ones. nodes and
 * ranges have room for all bytes and a root. */
static void build_nodes(gsai_added_index *index, range *ranges)
{
    const gsai_added *tokens = index->tokens;
    gsai_added_node *nodes = index->nodes;
    uint32_t n_nodes = 1;
    ranges[0] = (range){0, index->n_tokens};
    for (uint32_t i = 0; i < n_nodes; i++) {
        range r = ranges[i];
        gsai_added_node *node = &nodes[i];
        if (node->depth > 1) {
            uint32_t s = nodes[node->shorter].shorter; /* of the node without its last byte, until here */
            while (s && !child(index, s, node->byte)) s = nodes[s].shorter;
            node->shorter = child(index, s, node->byte);
        }
        node->ends = nodes[node->shorter].ends;
        if (r.begin < r.end && tokens[r.begin].size == node->depth) {
            node->ends = i;
            node->token = r.begin++;
        }
        node->first = n_nodes;
        while (r.begin < r.end) {
            const uint32_t begin = r.begin;
            const uint8_t byte = (uint8_t)tokens[begin].text[node->depth];
            while (r.begin < r.end && (uint8_t)tokens[r.begin].text[node->depth] == byte) r.begin++;
            if (i == 0) index->root[byte] = n_nodes;
            ranges[n_nodes] = (range){begin, r.begin};
            nodes[n_nodes].byte = byte;
            nodes[n_nodes].depth = (uint16_t)(node->depth + 1);
            nodes[n_nodes++].shorter = i;
            node->n_children++;
        }
    }
}

gsa_status gsai_added_index_build(const gsai_vocab *v, unsigned kind, gsai_added_index *index)
{
    const gsa_allocator *a = &v->allocator;
    gsai_added *tokens = index->tokens = gsai_alloc_array(a, v->n_added, sizeof *tokens);
    if (!tokens) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for %u added tokens", v->n_added);
    uint32_t n = 0, kept = 0;
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < v->n_added; i++) {
        if ((v->added[i].flags & GSAI_ADDED_NORMALIZED) == kind) tokens[n++] = v->added[i];
    }
    qsort(tokens, n, sizeof *tokens, compare);
    for (uint32_t i = 0; i < n; i++) {
        const gsai_added *last = kept ? &tokens[kept - 1] : NULL;
        if (last && last->size == tokens[i].size && memcmp(last->text, tokens[i].text, last->size) == 0) continue;
        n_bytes += tokens[i].size;
        tokens[kept++] = tokens[i];
    }
    index->n_tokens = kept;
    if (n_bytes > GSAI_MAX_ADDED_SUM)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "the added tokens have %llu bytes; at most %u are supported",
            (unsigned long long)n_bytes, GSAI_MAX_ADDED_SUM);
    if (!kept) return GSA_OK;
    range *ranges = gsai_alloc_array(a, n_bytes + 1, sizeof *ranges);
    index->nodes = gsai_alloc_array(a, n_bytes + 1, sizeof *index->nodes);
    const bool ok = ranges && index->nodes;
    if (ok) build_nodes(index, ranges);
    gsai_free(a, ranges);
    return ok ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for %u added tokens", v->n_added);
}

/* The match in text [n] that begins first, of those the longest, from search on. NULL = none. */
static const gsai_added *next_match(
    const gsai_added_index *index, const char *text, size_t n, size_t search, size_t *begin)
{
    const gsai_added_node *nodes = index->nodes;
    const gsai_added *found = NULL;
    uint32_t state = 0;
    for (size_t i = search; i < n; i++) {
        const uint8_t byte = (uint8_t)text[i];
        uint32_t next;
        while (!(next = child(index, state, byte)) && state) state = nodes[state].shorter;
        state = next;
        /* The state holds all that may still become a match: none of it begins as early as what was found. */
        if (found && i + 1 - nodes[state].depth > *begin) break;
        const gsai_added_node *end = &nodes[nodes[state].ends];
        if (!end->depth || (found && i + 1 - end->depth > *begin)) continue;
        found = &index->tokens[end->token];
        *begin = i + 1 - end->depth;
    }
    return found;
}

static size_t char_before(const char *text, size_t i)
{
    do i--;
    while (((uint8_t)text[i] & 0xc0) == 0x80);
    return i;
}

static bool is(const char *text, size_t i, unsigned class)
{
    return (gsai_char_class(gsai_utf8_get(text + i)) & class) != 0;
}

static size_t spaces_end(gsai_added_scan *s, size_t i)
{
    if (i >= s->spaces_from && i < s->spaces_to) return s->spaces_to;
    s->spaces_from = i;
    while (i < s->n && is(s->text, i, GSAI_CHAR_SPACE)) i += gsai_utf8_size(s->text[i]);
    s->spaces_to = i;
    return i;
}

bool gsai_added_next(gsai_added_scan *s, gsai_piece *piece)
{
    if (s->holds) {
        *piece = s->held;
        s->holds = false;
        return true;
    }
    const gsai_added_index *index = s->index;
    const gsai_added *token;
    size_t begin;
    while (index->n_tokens && (token = next_match(index, s->text, s->n, s->search, &begin))) {
        size_t end = begin + token->size;
        s->search = end; /* also when the token is not taken */
        if (token->flags & GSAI_ADDED_SINGLE_WORD) {
            if (begin > 0 && is(s->text, char_before(s->text, begin), GSAI_CHAR_WORD)) continue;
            if (end < s->n && is(s->text, end, GSAI_CHAR_WORD)) continue;
        }
        if (token->flags & GSAI_ADDED_LSTRIP) {
            while (begin > s->done && is(s->text, char_before(s->text, begin), GSAI_CHAR_SPACE))
                begin = char_before(s->text, begin);
            if (begin < s->done) begin = s->done;
        }
        if (token->flags & GSAI_ADDED_RSTRIP) end = spaces_end(s, end);
        /* White space that the token before took may hold this one. If this one takes all before it, nothing of it is
         * left; if not, it counts, and what follows it comes again. */
        if (begin >= end) continue;
        const gsai_piece found = {begin, end, (int32_t)token->id};
        if (s->done < begin) {
            *piece = (gsai_piece){s->done, begin, -1};
            s->held = found;
            s->holds = true;
        } else {
            *piece = found;
        }
        s->done = end;
        return true;
    }
    if (s->done >= s->n) return false;
    *piece = (gsai_piece){s->done, s->n, -1};
    s->done = s->n;
    return true;
}
