# hitrate with a managed redis-server in one container:
#   docker build -t hitrate . && docker run -p 127.0.0.1:5000:5000 hitrate

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app

# Dependencies only: this layer is rebuilt only when they change.
COPY Cargo.toml Cargo.lock ./
COPY cache/Cargo.toml cache/
RUN mkdir src cache/src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs cache/src/lib.rs \
 && cargo build --profile dist --locked \
 && rm -r src cache/src

COPY cache/README.md cache/CHANGELOG.md cache/
COPY cache/docs cache/docs
COPY cache/src cache/src
COPY src src
COPY templates templates
COPY data data
# Makes the sources newer than the build above, regardless of their timestamps.
RUN touch src/main.rs src/lib.rs cache/src/lib.rs && cargo build --profile dist --locked


FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates redis-server \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /app --shell /usr/sbin/nologin hitrate
WORKDIR /app
COPY --from=build /app/target/dist/hitrate /usr/local/bin/hitrate
COPY data data
COPY static static
RUN mkdir var && chown hitrate: var
USER hitrate

# Listen on all addresses of the container; the host decides which port to publish.
ENV HITRATE_BIND=0.0.0.0:5000
EXPOSE 5000
VOLUME /app/var
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["hitrate", "check", "--ready"]
ENTRYPOINT ["hitrate"]
CMD ["serve"]
