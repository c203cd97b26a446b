"""Engine arguments of vLLM: which have a key of their own in the YAML, and which change no answer."""

from __future__ import annotations

OWN_KEYS = {
    "model": "`model`",
    "tokenizer": "`model`: a folder holds both",
    "revision": "`revision`",
    "tensor_parallel_size": "`tensor_parallel`",
    "data_parallel_size": "`data_parallel`",
    "quantization": "`quantization`",
    "dtype": "`dtype`",
    "max_model_len": "`max_model_len`",
    "max_num_seqs": "`concurrency`",
}
"""Engine arguments that are set by a key of the model."""

HARMLESS = frozenset(
    {
        "async_scheduling",
        "block_size",
        "cpu_offload_gb",
        "data_parallel_address",
        "data_parallel_backend",
        "data_parallel_rpc_port",
        "data_parallel_size_local",
        "disable_custom_all_reduce",
        "disable_log_stats",
        "distributed_executor_backend",
        "download_dir",
        "enable_chunked_prefill",
        "enable_expert_parallel",
        "enable_log_requests",
        "enable_prefix_caching",
        "enforce_eager",
        "gpu_memory_utilization",
        "kv_cache_memory_bytes",
        "max_logprobs",
        "max_num_batched_tokens",
        "max_num_partial_prefills",
        "max_parallel_loading_workers",
        "num_gpu_blocks_override",
        "pipeline_parallel_size",
        "scheduling_policy",
        "swap_space",
        "trust_remote_code",
        "use_tqdm_on_load",
    }
)
"""Engine arguments of vLLM that say how fast and where it answers, not what."""
