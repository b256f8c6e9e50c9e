# hitrate in one container, its own redis-server inside:
#   docker build -t hitrate . && docker run -p 127.0.0.1:5000:5000 hitrate

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app

# The dependencies alone: this layer is built again only when they change.
COPY Cargo.toml Cargo.lock ./
COPY cache/Cargo.toml cache/
RUN mkdir src cache/src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs cache/src/lib.rs \
 && cargo build --profile dist --locked \
 && rm -r src cache/src

COPY cache/src cache/src
COPY src src
COPY templates templates
COPY data data
# Newer than what was built above, whatever the time stamps of the checkout say.
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

# Inside the container every address is meant; what is published is the host's choice.
ENV HITRATE_BIND=0.0.0.0:5000
EXPOSE 5000
VOLUME /app/var
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["hitrate", "check", "--ready"]
ENTRYPOINT ["hitrate"]
CMD ["serve"]
