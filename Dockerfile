# The prediction page as a container, computing on the CPU. See "The prediction page" in README.md.
#
#   docker build -t penumbra .
#   docker run -e PENUMBRA_TOKEN="$(openssl rand -hex 16)" -v "$PWD/models:/data/models:ro" -p 127.0.0.1:8080:8080 \
#     penumbra --model NAME

FROM rust:1.95-bookworm AS build
WORKDIR /penumbra
COPY . .
# No window and no GPU, so that nothing but the C library is needed to run it.
RUN cargo build --release --locked --no-default-features

FROM debian:bookworm-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin penumbra && mkdir -p /data/models
COPY --from=build /penumbra/target/release/penumbra /usr/local/bin/penumbra
USER 10001
# One heap for all threads: with several, the C library keeps what each has freed.
ENV PENUMBRA_HOME=/data MALLOC_ARENA_MAX=1
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && grep -q '\"ok\"' <&3"]
# A container is reached from outside itself, so the program asks for PENUMBRA_TOKEN.
ENTRYPOINT ["penumbra", "--device", "cpu", "serve", "--host", "0.0.0.0"]
CMD ["--help"]
