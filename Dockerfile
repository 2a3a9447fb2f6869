# A small image: one static binary, the certificates of public authorities, and a user without rights.
#
#   docker build -t fieldtest .                                  compiles in a container
#   docker build -t fieldtest --build-arg BINARY=prebuilt .      copies dist/ARCHITECTURE/fieldtest
#
# A release uses the second form. It needs no emulator for another architecture.
ARG BINARY=compiled
ARG BUILD_IMAGE=docker.io/library/rust:1-alpine
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM ${BUILD_IMAGE} AS compiled
RUN apk add --no-cache musl-dev
WORKDIR /source
COPY . .
RUN cargo install --locked --profile dist --path . --root /
WORKDIR /work

FROM scratch AS prebuilt
ARG TARGETARCH
COPY dist/${TARGETARCH}/fieldtest /bin/fieldtest
WORKDIR /work

FROM ${BINARY} AS binary

FROM ${BASE_IMAGE}
COPY --from=binary /bin/fieldtest /usr/local/bin/fieldtest
# Reports go to /work. Mount a folder there, and run as its owner: -u "$(id -u):$(id -g)".
COPY --from=binary --chown=65532:65532 /work /work
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/fieldtest"]
CMD ["--help"]
