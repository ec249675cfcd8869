#!/usr/bin/env python3
"""Train the innkeeper's tokenizer (byte-level BPE) on text from standard input.

  make_data text 1 24 | make_tokenizer.py models/innkeeper [VOCABULARY]

Ids 0..3 are <pad>, <s>, </s>, <|keeper|>. A conversation is <s> and then, turn by turn, what the guest says, <|keeper|>,
what the keeper replies, </s>. A space is put before each piece of text, so that a word has the same ids wherever it
stands. Needs the Python package tokenizers.
"""
import json, os, sys
from tokenizers import Tokenizer, AddedToken, decoders, models, pre_tokenizers, processors, trainers

out, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3072
special = ["<pad>", "<s>", "</s>", "<|keeper|>"]
t = Tokenizer(models.BPE())
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
t.decoder = decoders.ByteLevel()
t.train_from_iterator((line.rstrip("\n") for line in sys.stdin), trainers.BpeTrainer(
    vocab_size=n, special_tokens=special, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
os.makedirs(out, exist_ok=True)
t.save(os.path.join(out, "tokenizer.json"))
with open(os.path.join(out, "tokenizer_config.json"), "w") as f:
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>",
        "model_max_length": 1000000, "clean_up_tokenization_spaces": False}, f, indent=2)
