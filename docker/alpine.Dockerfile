# The plugin in the official eclipse-mosquitto image, which is Alpine with musl. The context is the root of the checkout:
#
#   docker build -f docker/alpine.Dockerfile -t mosquitto-ace-alpine .
#
# Not run by the project's own tests, which reach no image registry: docs/docker.md says what was checked and what was not.
# The plugin finds the broker and its OpenSSL in the process that loads it: the image's broker must be linked with
# OpenSSL 3 as a shared library. Whether it is has not been looked at.

ARG MOSQUITTO=eclipse-mosquitto:2.0
ARG BUILDER=rust:1-alpine

FROM ${BUILDER} AS plugin
# A C compiler and musl's headers, for the cryptographic library.
RUN apk add --no-cache gcc musl-dev make
WORKDIR /source
COPY . .
# For musl Rust links the C library into the program unless it is told otherwise, and so makes no shared libraries at
# all: a plugin must use the C library of the process that loads it. The target is named so that the flag is for the
# plugin alone, not for what is run while it is built. On ARM: --build-arg TARGET=aarch64-unknown-linux-musl
ARG TARGET=x86_64-unknown-linux-musl
ENV RUSTFLAGS="-C target-feature=-crt-static -C linker=gcc"
RUN cargo build --release --locked --package mosquitto-ace --target "${TARGET}" \
    && install -D -m 644 "target/${TARGET}/release/libmosquitto_ace.so" /out/libmosquitto_ace.so \
    && rm -rf target

FROM ${MOSQUITTO}
COPY --from=plugin /out/libmosquitto_ace.so /usr/lib/mosquitto/libmosquitto_ace.so
# What Rust's unwinding needs; with this the plugin has all that it is linked to.
RUN apk add --no-cache libgcc
# As the image itself does once it has started: its user mosquitto.
USER 1883:1883
EXPOSE 8883
CMD ["/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]
