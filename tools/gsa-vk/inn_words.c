/* The words of the innkeeper's world, and words that nobody has ever used. */
#include "inn.h"

#include <stdio.h>
#include <string.h>

static const char *const names =
    "Adam Agnes Alan Albert Alice Alma Amos Anna Anton Arne Arthur Astrid Basil Bela Berta Boris Bruno Carl Carla "
    "Cecil "
    "Clara Colin Conrad Cora Daniel Dora Edgar Edith Edmund Ella Elsa Emil Emma Erik Ernest Esther Eva Felix Flora "
    "Frank Freya George Gerda Greta Gustav Hanna Harold Hazel Hector Heidi Helen Henry Hilda Hugo Ida Igor Ingrid Irma "
    "Isaac Ivan Jack Jacob Jane Jasper John Jonas Judith Julia Karl Kate Klaus Lara Laura Leo Lena Lewis Lily Linda "
    "Lotte Louis Lucas Lucy Luna Magda Marco Maria Mark Marta Martin Mary Matilda Max Mona Moritz Nadia Nathan Nell "
    "Nina "
    "Nora Olaf Olga Oscar Otto Owen Paul Paula Pavel Pedro Peter Petra Philip Ralph Rita Robert Robin Roland Rosa Ruth "
    "Samuel Sara Sigrid Simon Sofia Stella Sven Thea Theo Thomas Tom Ursula Vera Victor Viola Walter Wanda Wilma Yara "
    "Yuri Zelda Zora Mara Tobias Hale Bram Cedric Dietrich Elmer Fiona Gideon Hester Iris Joel Kurt Lydia Miriam Nils "
    "Odette Percy Quentin Rufus Selma Tilda Ulrich Vincent Winston Xenia Yvonne Zeno Alba Benno Celia Dario Enzo Frida "
    "Abel Agatha Alfred Amelia Andrea Andrew Angela Antonia Arnold Barbara Beatrice Benedict Benjamin Bernard Bertha "
    "Bianca Camilla Caspar Cassandra Catherine Charles Charlotte Christina Claudia Cornelia David Deborah Denis "
    "Diana Dominic Dorothy Eleanor Elias Elisabeth Emily Eugene Fabian Ferdinand Florian Francis Gabriel Gertrude "
    "Gilbert Godfrey Gregor Harriet Helga Herbert Herman Hubert Irene Isabel Jerome Johanna Joseph Josephine Lambert "
    "Leonard Leopold Lucia Malcolm Margaret Matthew Maurice Michael Monica Nicholas Norman Oswald Patrick Pauline "
    "Raphael Rebecca Richard Roger Rupert Sabina Sebastian Silvia Stephen Susan Tamara Theresa Timothy Veronica "
    "Vivian Wilfred William Wolfgang";
static const char *const things =
    "key cup lute sword book lamp candle map ring coin purse knife spoon bottle kettle pan rope saddle boot glove hat "
    "coat blanket pillow mirror clock comb brush needle hammer saw axe bucket basket barrel chest box letter scroll "
    "pen "
    "drum flute harp violin fiddle bell whistle dice mask crown shield helmet spear bow arrow lantern torch broom "
    "ladder "
    "chair table stool bench jug bowl plate fork tankard goblet pipe cloak belt buckle button thimble thread shawl "
    "scarf "
    "wallet locket amulet stone pearl crystal feather horn bone skull statue painting carpet curtain anchor net oar "
    "compass telescope hourglass potion ointment soap towel sack crate trunk puppet doll wheel chain padlock nail "
    "shovel "
    "anvil apron badge ball banner bracelet brooch cage candlestick cane chalice cork cradle crowbar crutch cushion "
    "dagger diary envelope fan flag flask funnel jar jewel kite lid mallet medal mitten mortar necklace paintbrush "
    "parchment pendant pitcher plough quill rake razor ribbon sandal scythe sickle sieve slipper spade sponge "
    "stocking tray trowel trumpet umbrella vase whip wreath wrench";
static const char *const adjectives =
    "red blue green yellow black white grey brown golden silver purple orange pink old new small big little large "
    "heavy "
    "light long short round square wooden iron copper brass stone broken rusty dusty shiny dirty clean wet dry torn "
    "painted carved crooked strange magic lucky cursed royal cheap fine plain striped spotted smooth rough thin thick "
    "bright dark pale bent cracked polished holy secret hollow velvet leather woollen silken bronze amber ivory "
    "crimson "
    "ancient ugly pretty lovely beautiful delicate broad narrow wide hard soft sharp blunt tall tiny huge greasy "
    "sticky muddy scratched chipped faded patched woven embroidered gilded scarlet beige silvery marble steel "
    "precious simple fancy noble rare foreign haunted blessed enchanted";
static const char *const places =
    "barrel bed table bench stove oven stairs cellar attic kitchen stable barn shed well garden orchard chapel tower "
    "gate bridge fence wall roof chimney hearth cupboard wardrobe chest drawer shelf window door counter bar pantry "
    "larder hall corridor balcony cart wagon boat mill forge bakery market square fountain oak willow hedge haystack "
    "woodpile doghouse henhouse pigsty smokehouse laundry bathhouse library study parlour closet alcove ditch hollow "
    "courtyard porch veranda granary brewery workshop armoury vault crypt shrine kennel trough rainbarrel beehive "
    "altar basement belfry boathouse bookcase canal cave cottage cowshed desk dovecote drawbridge dresser fireplace "
    "fishpond gallery greenhouse harbour hayloft hill lighthouse meadow moat monument pavilion pier pillar pond "
    "pulpit quarry riverbank sawmill signpost staircase steeple storeroom temple terrace treehouse tunnel vineyard "
    "watchtower waterfall windmill";
static const char *const trades =
    "baker smith miller tailor weaver carpenter mason potter butcher brewer cooper tanner farmer shepherd fisher "
    "hunter "
    "sailor soldier guard knight merchant pedlar banker scribe teacher doctor healer midwife priest monk nun bard "
    "singer "
    "dancer juggler painter sculptor jeweller clockmaker locksmith glazier thatcher ropemaker candlemaker shoemaker "
    "saddler wheelwright barber cook servant gardener beekeeper forester miner charcoal-burner ferryman pilot judge "
    "notary spy thief gambler poet actor astrologer alchemist apothecary cartographer ratcatcher lamplighter courier "
    "abbot archer architect artist blacksmith boatman bricklayer captain clerk coachman cobbler composer dentist "
    "fiddler gatekeeper goldsmith gravedigger grocer jester lawyer librarian lumberjack messenger milkmaid minstrel "
    "musician nurse philosopher physician piper porter preacher scholar seamstress silversmith surgeon swineherd "
    "tinker trader trumpeter watchman winemaker woodcutter";
static const char *const drinks =
    "ale beer cider mead wine milk water tea cocoa coffee lemonade broth porridge stew soup bread cheese butter ham "
    "bacon "
    "sausage mutton beef venison rabbit chicken goose duck trout salmon eel herring cod crab oysters pie pastry "
    "pudding "
    "pancakes dumplings noodles rice beans peas cabbage turnips carrots onions leeks mushrooms apples pears plums "
    "cherries berries grapes figs nuts honey gingerbread biscuits cake custard jam pickles olives eggs omelettes "
    "brandy "
    "rum whisky gin sherry port punch perry kvass buttermilk "
    "almonds apricots blackberries blueberries buns cauliflower celery chestnuts chocolate cranberries cream "
    "cucumbers doughnuts garlic haddock hazelnuts juice lettuce lobster mackerel marmalade meatballs melons mussels "
    "mustard oatmeal oranges peaches pheasant pork potatoes pumpkin raisins raspberries salad scones spinach "
    "strawberries toast veal vodka waffles walnuts";
static const char *const towns =
    "Harrow Ashford Millbrook Stonebridge Oakham Westport Northgate Eastwick Riverton Lakeside Greenhill Blackwater "
    "Redcliff Whitby Silverton Goldcrest Ironforge Coppermine Saltmarsh Fairview Elmwood Birchdale Thornbury Hollowell "
    "Marlow Dunmore Kelso Norwich Bergen Lund Visby Trier Ghent Bruges Delft Arles Padua Parma Cadiz Evora Toledo Riga "
    "Narva Torun Brno Graz Linz Bern Basel Ulm Fulda Celle Wismar Stade Hythe Rye Wells Ely Bath York Ripon Durham "
    "Perth "
    "Wick Tain Cork Sligo Tralee Foxhollow Ravensburg Wolfden Bearwood Hartland Swanmere Cranford Herondale "
    "Arundel Bamberg Bodmin Bremen Brightwater Buxton Calais Carlisle Cologne Coventry Dalkeith Deepwell Dover "
    "Exeter Falkirk Fernhill Galway Grimsby Hastings Innsbruck Kendal Kilkenny Leiden Mainz Modena Namur Northfield "
    "Oldbridge Otley Passau Pinewood Rothbury Salisbury Seaford Speyer Stirling Utrecht Warwick Whitehaven "
    "Winchester Zwolle";
static const char *const animals =
    "cat dog horse mare pony donkey mule cow bull calf ox goat sheep ram lamb pig sow hen rooster goose duck swan "
    "raven "
    "crow owl hawk falcon parrot pigeon rabbit hare fox ferret hedgehog badger squirrel mouse rat tortoise frog toad "
    "snake lizard bear wolf otter hound kitten puppy foal magpie canary "
    "beaver boar bat bison cuckoo deer dove eagle elk gosling lark lynx mole monkey nightingale partridge peacock "
    "piglet seagull sparrow spaniel stallion stork terrier thrush tomcat turtle weasel";
static const char *const *const lists[] = {&names, &things, &adjectives, &places, &trades, &drinks, &towns, &animals};

void inn_seed(inn_random *r, uint64_t seed)
{
    r->state = seed;
    inn_below(r, 2);
}

uint32_t inn_below(inn_random *r, uint32_t n) /* splitmix64 */
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (uint32_t)(((z >> 32) * n) >> 32);
}

bool inn_chance(inn_random *r, double p)
{
    return inn_below(r, 1u << 30) < p * (1u << 30);
}

/* The words of a list: offsets are found anew each time, lists are short. */
static size_t count_words(const char *list)
{
    size_t n = 1;
    for (; *list; list++) n += *list == ' ';
    return n;
}

static size_t take_word(const char *list, size_t i, char out[INN_TEXT])
{
    while (i > 0) i -= *list++ == ' ';
    size_t n = 0;
    for (; list[n] && list[n] != ' ' && n < 24; n++) out[n] = list[n];
    out[n] = 0;
    return n;
}

static size_t pick(inn_random *r, const char *list, char out[INN_TEXT])
{
    return take_word(list, inn_below(r, (uint32_t)count_words(list)), out);
}

/* Syllables: "Talmo", "brinel". */
static void syllables(inn_random *r, char out[INN_TEXT])
{
    static const char *const heads[] = {"b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kr", "l",
        "m", "n", "p", "pr", "qu", "r", "s", "sh", "sk", "st", "t", "th", "tr", "v", "w", "y", "z", ""};
    static const char *const cores[] = {"a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ia", "oo", "ou"};
    static const char *const tails[] = {"", "", "", "", "n", "r", "l", "s", "m", "k", "t", "nd", "rk", "st", "x", "th"};
    const uint32_t n = 2 + (inn_below(r, 4) == 0);
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const char *head = heads[inn_below(r, sizeof heads / sizeof *heads)]; /* one by one: the order matters */
        const char *core = cores[inn_below(r, sizeof cores / sizeof *cores)];
        const char *tail = tails[inn_below(r, i + 1 < n ? 8 : 16)];
        at += (size_t)snprintf(out + at, INN_TEXT - at, "%s%s%s", head, core, tail);
    }
}

/* The beginning of one word and the end of another: looks like the language, but is not in it. */
static void blend(inn_random *r, const char *first, const char *last, char out[INN_TEXT])
{
    char a[INN_TEXT], b[INN_TEXT];
    const size_t n = pick(r, first, a), m = pick(r, last, b);
    const size_t cut = 2 + inn_below(r, n > 4 ? 3 : 1), rest = 2 + inn_below(r, m > 4 ? 3 : 1);
    snprintf(out, INN_TEXT, "%.*s%.8s", (int)(cut < n ? cut : n), a, b + (rest < m ? m - rest : 0));
}

void inn_word(inn *w, inn_words class, char out[INN_TEXT])
{
    inn_random *r = &w->random;
    static const double made_up[2][INN_N_WORDS] = {
        {.45, .25, .15, .25, .2, .2, .5, .15, 1}, {.65, .55, .5, .55, .5, .5, .65, .5, 1}};
    for (int tries = 0; tries < 1000; tries++) {
        if (!inn_chance(r, made_up[w->noise][class])) {
            pick(r, *lists[class], out);
        } else if (class == INN_SECRET || inn_chance(r, .5)) {
            syllables(r, out);
        } else {
            const bool mixed = w->noise && inn_chance(r, .4);
            blend(r, *lists[class], *lists[mixed ? inn_below(r, INN_SECRET) : class], out);
        }
        if (class == INN_NAME || class == INN_TOWN) out[0] = (char)(out[0] & ~32);
        /* A made-up word that is a held-out one of the lists has its hash too. */
        if (inn_is_held_out(out) == w->held_out && strlen(out) > 1) return;
    }
}

static void with_article(const char *word, char out[INN_TEXT])
{
    snprintf(out, INN_TEXT, "%s %.40s", strchr("aeiou", word[0]) && word[0] ? "an" : "a", word);
}

static void number_text(inn_random *r, uint32_t n, char *out, size_t size)
{
    static const char *const words[] = {"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
        "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
        "twenty"};
    if (n <= 20 && inn_chance(r, .7)) {
        snprintf(out, size, "%s", words[n]);
    } else {
        snprintf(out, size, "%u", (unsigned)n);
    }
}

void inn_value_text(inn *w, inn_value value, char out[INN_TEXT])
{
    static const char *const where[] = {"in", "under", "behind", "on", "near", "beside", "above", "below"};
    static const char *const days[] = {"on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday",
        "on Saturday", "on Sunday", "tomorrow", "next week", "in the morning", "in the evening", "at noon",
        "at midnight", "in spring", "in winter"};
    static const char *const clothes[] = {"cloak", "hat", "coat", "scarf", "dress", "shirt", "hood", "cap", "belt"};
    inn_random *r = &w->random;
    char a[INN_TEXT], b[INN_TEXT], c[INN_TEXT];
    switch (value) {
    case INN_V_PLACE:
        inn_word(w, INN_PLACE, a);
        snprintf(out, INN_TEXT, "%s the %.24s", where[inn_below(r, sizeof where / sizeof *where)], a);
        break;
    case INN_V_COINS: {
        const uint32_t n = inn_chance(r, .7) ? 2 + inn_below(r, 19) : 2 + inn_below(r, 200);
        number_text(r, n, a, sizeof a);
        snprintf(out, INN_TEXT, "%.16s coins", a);
        break;
    }
    case INN_V_TRADE:
        inn_word(w, INN_TRADE, a);
        with_article(a, out);
        break;
    case INN_V_ROOM:
        number_text(r, 1 + inn_below(r, inn_chance(r, .7) ? 20 : 90), a, sizeof a);
        snprintf(out, INN_TEXT, "room %.16s", a);
        break;
    case INN_V_DRINK:
        inn_word(w, INN_DRINK, out);
        break;
    case INN_V_TOWN:
        inn_word(w, INN_TOWN, out);
        break;
    case INN_V_PERSON:
        if (w->n_people > 0 && inn_chance(r, .6)) {
            snprintf(out, INN_TEXT, "%s", w->people[inn_below(r, (uint32_t)w->n_people)]);
        } else {
            inn_word(w, INN_NAME, out);
        }
        break;
    case INN_V_NAME:
        inn_word(w, INN_NAME, out);
        break;
    case INN_V_DAY:
        snprintf(out, INN_TEXT, "%s", days[inn_below(r, sizeof days / sizeof *days)]);
        break;
    case INN_V_SECRET:
        inn_word(w, INN_SECRET, out);
        break;
    case INN_V_CLOTHES:
        inn_word(w, INN_ADJECTIVE, a);
        snprintf(c, sizeof c, "%.20s %s", a, clothes[inn_below(r, sizeof clothes / sizeof *clothes)]);
        with_article(c, out);
        break;
    case INN_V_THING:
        inn_word(w, INN_ADJECTIVE, a);
        inn_word(w, INN_THING, b);
        snprintf(c, sizeof c, "%.20s %.20s", a, b);
        with_article(c, out);
        break;
    case INN_V_AGE:
        snprintf(out, INN_TEXT, "%u", (unsigned)(5 + inn_below(r, 90)));
        break;
    }
}
