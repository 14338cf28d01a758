# The program alone, for docker-compose.yml or by itself:
#   docker build --tag tsumiage . && docker run --rm --volume tsumiage_data:/data tsumiage status
FROM rust:1.95-slim-trixie AS build
# librdkafka and OpenSSL are built from source.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --workspace && cp target/release/tsumiage /usr/local/bin/

FROM debian:trixie-slim
# curl: health checks. ca-certificates: brokers whose certificate is by a public CA.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 tsumiage \
    && useradd --uid 10001 --gid 10001 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin tsumiage \
    && install --directory --owner tsumiage --group tsumiage --mode 2750 /data
COPY --from=build /usr/local/bin/tsumiage /usr/local/bin/
USER 10001:10001
# The data folder is /data, also where --data is left out.
WORKDIR /
ENTRYPOINT ["tsumiage"]
CMD ["--help"]
