"""A language model of two layers with random weights and a tokenizer of 600 entries: it proves the path, not the words.

All of its tokens begin with the same large value in one channel, which every layer passes on, so that one column of the
output layer gives each token a likelihood of its own. That is how a random model comes to its ends: of a reply, of a
string, of an object.
"""

import json
import os
from pathlib import Path
from typing import Any

END = "<|im_end|>"
SPECIAL = ("<|endoftext|>", "<|im_start|>", END)
PLAIN = ("<tool_call>", "</tool_call>", "<think>", "</think>")
VOCABULARY = 600
WIDTH = 64
WINDOW = 32_768
LIKELY = {END: 3.6, "}": 7.0, "}}": 5.0, '"': 5.0, '"}': 5.0, "Ġ": 5.0, "</tool_call>": 6.0, "</think>": 3.0}
LIKELY |= {"<tool_call>": -9.0, "<think>": -9.0}
"""Logits above those of other tokens. Calls and thoughts begin only where they are asked for."""
TEMPLATE = """\
{%- if tools %}<|im_start|>system
Tools:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or '' }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking %}<think>
{% endif %}{% endif %}"""
_TEXT = (
    "Hello, please tell me a long story about the sea. What is the weather in Paris? I am listening, go on.",
    "tell me this and that, word word word and another word, aaaa aaaaaaaa (((((((( 77777777",
    "The ship went out in the morning; the wind was cold, and nobody on board said a word until the evening.",
    '{"name": "get_weather", "arguments": {"city": "Paris", "temperature": 21}} {"type": "function"}',
)


def options(folder: Path) -> dict[str, Any]:
    """Options of the engine for a model made in `folder`."""
    # Two threads of OpenMP wait for each other by spinning: on two cores with other work the engine, which starts in
    # half a minute, had not started after a quarter of an hour.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model = make_model(folder / "tiny-chat")
    return {
        "model": str(model),
        "adapters": {"pirate": str(make_adapter(folder / "pirate", model))},
        "tool_parser": "hermes",
        "kv_cache_gib": 0.25,
        "max_output_tokens": 400,
        "max_sequences": 32,
    }


def make_model(folder: Path) -> Path:
    """A Qwen2 in float32, the same each time."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokens = _make_tokenizer(folder)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=WINDOW,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokens[END],
        pad_token_id=tokens["<|endoftext|>"],
        dtype="float32",
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() == 2:
                weights.normal_(0, 0.3)
        model.model.embed_tokens.weight[:, 0] = 20.0
        head = model.lm_head.weight
        head[:, 0] = 0.0
        for token, logit in LIKELY.items():
            if token in tokens:
                # After the last norm the channel has about the value sqrt(WIDTH).
                head[tokens[token], 0] = logit / WIDTH**0.5
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 1.0, "eos_token_id": tokens[END]}))
    return folder


def make_adapter(folder: Path, model: Path, rank: int = 4) -> Path:
    """A LoRA adapter of its attention, far from zero: what it writes differs."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 32, "bias": "none"}
    settings |= {"target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": str(model)}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    chance = torch.Generator().manual_seed(1)
    weights = {}
    for layer in range(2):
        for name, out in (("q_proj", WIDTH), ("v_proj", WIDTH // 2)):
            where = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{where}.lora_A.weight"] = torch.randn(rank, WIDTH, generator=chance)
            weights[f"{where}.lora_B.weight"] = torch.randn(out, rank, generator=chance)
    save_file(weights, str(folder / "adapter_model.safetensors"))
    return folder


def _make_tokenizer(folder: Path) -> dict[str, int]:
    """Bytes and the pairs of a few sentences. Gives its tokens by text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(PLAIN),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN])
    folder.mkdir(parents=True, exist_ok=True)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|endoftext|>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)
    return dict(tokenizer.get_vocab())
