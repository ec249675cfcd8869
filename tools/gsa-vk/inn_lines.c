/* What is said in the innkeeper's world beside facts: small talk, remarks, and what stands before and behind a sentence.
 * How lines are written is explained in inn.h. */
#include "inn.h"

const inn_talk_lines inn_talks[] = {
    {{"good evening", "good evening, innkeeper", "good day", "good morning", "a good evening to you"},
        {"Good evening, and welcome.", "Welcome in, sit by the fire."}},
    {{"hello", "hello there", "hi", "hello, innkeeper", "greetings"}, {"Hello, and welcome.", "Welcome in."}},
    {{"how are you?", "how are you today?", "how do you do?", "are you well?", "is everything well with you?"},
        {"Well enough, thank you.", "I cannot complain."}},
    {{"thank you", "thanks", "many thanks", "thank you very much", "I am grateful"}, {"You are welcome.", "Gladly."}},
    {{"goodbye", "bye", "good night", "I am off to bed", "farewell"}, {"Good night, sleep well.", "Until tomorrow."}},
    {{"who are you?", "what is your name?", "what are you called?", "what do you do?", "tell me who you are"},
        {"I am the innkeeper, and I remember what I am told."}},
    {{"how big is your memory?", "how much can you remember?", "is your memory good?", "do you forget things?",
         "how good is your memory?"},
        {"My memory is as large as it was this morning: it never grows."}},
    {{"what can you do?", "what can I ask you?", "how does this work?", "what should I say?", "help"},
        {"Tell me who is who and what is where, and ask me later."}},
    {{"tell me a joke", "do you know a joke?", "make me laugh", "say something funny"},
        {"A horse came in once. I asked why the long face."}},
    {{"how is the weather?", "will it rain?", "is it cold outside?", "what is the weather like?", "is it windy?"},
        {"You will see it better from the window than I do."}},
    {{"do you have a room?", "is there a free room?", "can I stay here tonight?", "I need a bed for the night"},
        {"There is always a bed for a friend."}},
    {{"what is there to eat?", "I am hungry", "is there something to eat?", "what is for dinner?"},
        {"There is stew on the fire."}},
    {{"I am tired", "it was a long way", "my feet hurt", "what a day"}, {"Then rest a while.", "Sit down and rest."}},
    {{"yes", "no", "maybe", "of course", "I see", "fine"}, {"Very well."}},
    {{"what is the capital of {6}?", "who is the king of {6}?", "how far is it to {6}?", "who won the war of {6}?",
         "how many people live in {6}?"},
        {"That is beyond an innkeeper."}},
    {{"what is {n} times {n}?", "what is {n} plus {n}?", "can you calculate {n} minus {n}?",
         "what is the meaning of life?", "why is the sky blue?", "who wrote the book of the {1}?"},
        {"That is beyond an innkeeper."}},
    {{"write me a poem about a {1}", "sing a song about the {7}", "explain how to make a {1}", "how do I cook {5}?",
         "translate {8} for me", "what is the best {1} in the world?"},
        {"That is beyond an innkeeper."}},
    {{"what do you think about the {7}?", "do you like {5}?", "have you ever seen a {2} {7}?", "have you been in {6}?",
         "did you hear the {7} last night?"},
        {"I have no opinion on that."}},
};
const size_t inn_n_talks = sizeof inn_talks / sizeof *inn_talks;

const char *const inn_asides[] = {"I saw {s} yesterday", "I thought of {s} this morning", "everybody talks about {s}",
    "I dreamt of {s}", "have you heard about {s}", "I will tell you more about {s} later", "nobody cares about {s}",
    "there is a story about {s}, but not today", "I always forget things about {s}", "never mind {s}",
    "it is a pity about {s}", "somebody asked me about {s}", "what a strange thing to say about {s}",
    "I should think less about {s}", NULL};

const char *const inn_remarks[] = {"the wind blows hard tonight", "a {2} {7} ran across the road",
    "the road from {6} was muddy", "I bought a {2} {1} on the market and lost it", "it rained all the way from {6}",
    "once I met a {4} who sold {5}", "they say the winter will be long", "the fire is warm",
    "the {7} in the yard is loud", "a {4} sang all night", "the soup smells of {5}", "my grandmother had a {2} {1}",
    "the roof of the {3} leaks", "there was a feast in {6} with {5} and {5}", "the children played with a {1}",
    "I lost {n} coins at dice", "the bridge was closed, so I walked around", "my boots are wet",
    "a {2} cloud hung over the {3}", "in {6} everybody is a {4}", "I cannot stand {5}", "a {7} stole my {5}",
    "I once owned a {2} {1}", "the {4} from {6} never pays", "some say a {2} {7} lives near the {3}",
    "the stars are bright tonight", "I slept badly", "time flies", "people in {6} say {8} when they meet",
    "I counted {n} sheep before I slept", "the old {4} told me about the war", "a storm is coming",
    "someone knocked, but nobody was there", "you have a fine house", "the {5} was good",
    "a {4} and a {7} walked into the {3}", "my {2} {1} broke on the way", "nobody in {6} likes {5}", NULL};

const char *const inn_tell_openings[] = {"by the way, ", "[listen|look|hear me out][: |, ]",
    "[you should|you must|you ought to|you may want to] [know|remember|keep in mind] that ",
    "[I|we|people here] [heard|learned|found out|were told] [|yesterday |this morning |just now ]that ",
    "[|please |now ][remember|keep in mind|note|mark|write down][: | that ]",
    "[I tell you|let me tell you|I can tell you|I must tell you]: ", "it is [said|known|certain|no secret] that ",
    "[well|also|oh|so|now|ah|right][, | then, ]", "oh, and ",
    "[one more thing|another thing|and one thing more]: ", "as far as I [know|remember|can tell], ",
    "[between you and me|in confidence][, |: ]", "[I think|I believe|I am sure|I know|I swear] [|that ]",
    "[before I forget|while I think of it|here is some news][: |, ]", "[the truth is|the thing is|fact is] that ",
    "[did you know|have you heard]? ", "[my friend|innkeeper|good man], ",
    "[keep this to yourself|do not forget|never forget this][: |, ]", "[they say|people say|rumour has it] that ",
    "what you should know: ", "for your [book|list|memory]: ", NULL};
const char *const inn_change_openings[] = {"[no|oh no|ah no][, |, wait: |, wait, ]",
    "[correction|a correction|I must correct myself][: |, ]",
    "[I was wrong|I was mistaken|I got that wrong]: ", "[things|matters] have changed: ",
    "[sorry|excuse me|forgive me], I [made a mistake|was wrong|mixed it up]: ", "[news|fresh news|big news]: ",
    "[not any more|not now any more]: ", "[forget|ignore] what I [said|told you][, |: ]",
    "[actually|in fact|rather][, |: ]", "as of [today|now|this morning], ",
    "there is [a change|news|something new]: ", "[it is different now|that is over|that was yesterday]: ",
    "I have to take that back: ", "[listen, it has changed|listen, that changed]: ", NULL};
const char *const inn_ask_openings[] = {"[tell|come, tell|now tell|quickly tell] me: ",
    "[say|come|well|so|and|hey|ah], ", "[one|a|another|just one] [|more |quick |small ]question[: |, ]",
    "[innkeeper|my friend|good man|old friend][, |: ]", "now [then|listen], ", "[quickly|quick|be quick][: |, ]",
    "[please|please tell me|please help me][, |: ]", "[excuse me|pardon me|forgive me][, |: ]",
    "[I forgot|I have forgotten|I can't remember|it slipped my mind]: ",
    "[one thing I must know|what I want to know|now I want to know|here is what I need to know]: ",
    "[before I go|before I go to bed|while I am here][, |: ]", "[let me think|wait][, |: ]", "[so|well] tell me, ",
    "[remind me|refresh my memory|help my memory][: |, ]", NULL};
const char *const inn_ask_frames[] = {
    "do you [|still |happen to |by any chance |perhaps |really ][know|remember|recall] {q}?",
    "[can|could|would|will] you [|please |quickly |perhaps |kindly ][tell me|remind me|say|let me know] {q}?",
    "[tell me|say|let me know|let me hear] [|again |please |once more |quickly ]{q}",
    "I [forgot|have forgotten|do not remember|can't remember|lost track of] {q}",
    "I [would like|want|need|have] to [know|hear|be told] {q}", "I [wonder|must know|am trying to remember] {q}",
    "[remind me|please remind me|come, remind me] {q}", "[any idea|any clue|any thought] {q}?",
    "[what did|what do] I [tell|say to] you about {q}?", "I told you {q}, [what was it|say it again|do you remember]?",
    "[you must|you surely|surely you] know {q}", "[who|which of you] can tell me {q}?", "what about {q}?",
    "[somebody|a guest|the guard] [asks|wants to know|would like to know] {q}", "is it known {q}?",
    "[have I told you|did I tell you|did I mention] {q}?", NULL};
const char *const inn_notes[] = {
    "Noted.", "Noted.", "Noted.", "I will remember.", "Very well.", "Good to know.", "I see.", NULL};
const char *const inn_change_notes[] = {"So it has changed. Noted.", "I will remember the change.", NULL};
const char *const inn_relations[] = {"brother", "sister", "mother", "father", "cousin", "uncle", "aunt", "wife",
    "husband", "son", "daughter", "friend", "master", "neighbour", "boss", "rival", NULL};
const char *const inn_tell_endings[] = {", I [think|believe|guess|suppose|am sure]", ", they [say|tell me|told me]",
    ", as [you know|we all know|everybody knows][|, of course]", ", my [good |dear |old |]friend",
    ", believe [me|it or not]",
    ", [for sure|no doubt|without doubt|of course|as always|that is all|mind you|in case you need it|so I hear]",
    " [these days|I think|I believe|if I am right]", ", [if|unless] I [remember well|am not mistaken|heard right]",
    ", so [they|people|the cook] told me", ", [just so you know|you should know|remember that|do not forget it]", NULL};
const char *const inn_ask_endings[] = {" again", ", my [good |dear |old |]friend",
    ", [please|if you please|if I may ask]", " exactly", ", I wonder", ", [good man|innkeeper|good sir]", " by the way",
    ", do you [know|remember]", " [right now|at the moment|these days]", ", can you [say|tell me|remember]",
    ", [tell me|quick|say]", NULL};
const char *const inn_fillers[] = {"really", "actually", "still", "just", "perhaps", "indeed", "surely", "simply",
    "again", "well", "truly", "maybe", NULL};
