"""The parts of the engine `vllm`. Only `loading` and `dialect` import vLLM, when they are called."""
