# The image that `make image` makes without a daemon, for those who have one:
#   docker build -t mount-s3 .
FROM rust:1.94-bookworm AS build
RUN apt-get update -q && apt-get install -y --no-install-recommends cmake ca-certificates python3
WORKDIR /source
COPY . .
RUN cargo build --release --locked -p mount && \
    scripts/image --rootfs target/release/mount-s3 /rootfs

FROM scratch
COPY --from=build /rootfs /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ENTRYPOINT ["mount-s3"]
