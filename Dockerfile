# The server and the tool, for a user without rights. Both addresses are settings: see docs/operations.md.
FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
RUN scripts/dist /out && mkdir /out/state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/tidegate-server /out/tidegate /usr/bin/
COPY --from=build --chown=nonroot:nonroot /out/state /var/lib/tidegate
ENV TIDEGATE_DATABASE_URL=sqlite:///var/lib/tidegate/tidegate.db?mode=rwc \
    TIDEGATE_METRICS_LISTEN=127.0.0.1:9464
VOLUME /var/lib/tidegate
EXPOSE 50051 9464
# SIGTERM: the drain takes 10 s at most, which is as long as docker waits.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s CMD ["/usr/bin/tidegate-server", "ready"]
ENTRYPOINT ["/usr/bin/tidegate-server"]
