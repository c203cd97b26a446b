"""A real llama.cpp server on loopback, over the weights of the embedded model: `python -m tests.servers.llamacpp [--embeddings]`.

Prints its address on one line and serves until its standard input ends.
"""

import sys


def main() -> None:
    import xllamacpp

    from prefgen.engines.weights import default_weights

    params = xllamacpp.CommonParams()
    params.model.path = str(default_weights())
    params.n_ctx = 4 * 2048
    params.n_parallel = 4
    params.cpuparams.n_threads = 2
    params.cpuparams_batch.n_threads = 2
    if "--embeddings" in sys.argv:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
