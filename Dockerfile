# One image with all four programs: ringkv, ringkv-placement, ringkv-storage-node, ringkv-gateway.
#
#   docker build -t ringkv .                                     compiles from source
#   docker build -t ringkv --target prebuilt -f Dockerfile DIR   takes the programs from DIR
#
# The second form compiles nothing with BuildKit, which skips stages that the target does not need.
# Where no registry can be reached, scripts/base-images.sh makes both base images locally.

FROM debian:bookworm-slim AS base
# A numeric user, so that "runs as non-root" can be checked by an orchestrator. A named volume
# mounted on /data takes over this owner.
RUN mkdir /data && chown 10001:10001 /data && chmod 0750 /data
ENV RINGKV_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
CMD ["ringkv", "--help"]

FROM rust:1.95-bookworm AS build
# Clang is for RocksDB's bindings; the local stand-in image has it already.
RUN command -v clang >/dev/null || { \
        apt-get update && \
        apt-get install --yes --no-install-recommends clang libclang-dev && \
        rm -rf /var/lib/apt/lists/*; }
WORKDIR /src
COPY . .
# `debug` is only the name of the folder of profile `dev`: the settings of optimized.toml decide.
RUN cargo --config .cargo/optimized.toml build --locked --workspace --bins && \
    mkdir /out && \
    cp target/debug/ringkv target/debug/ringkv-placement \
        target/debug/ringkv-storage-node target/debug/ringkv-gateway /out/

FROM base AS runtime
COPY --from=build /out/ /usr/local/bin/

FROM base AS prebuilt
COPY ringkv ringkv-placement ringkv-storage-node ringkv-gateway /usr/local/bin/

# What is built when no target is named.
FROM runtime
