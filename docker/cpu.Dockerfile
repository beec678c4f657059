# hexgate for CPUs, amd64 and arm64. docker/README.md says how to build and run it.
#
# The base has Python 3.10 or newer, with venv. Pin it by digest where you can reach its registry:
#   --build-arg BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm@sha256:...
ARG BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG LOCK=cpu.lock
ARG SOURCE_DATE_EPOCH=0
# The wheelhouse is a folder that need not be there.
COPY docker/build.lock docker/${LOCK} wheelhouse* /in/
COPY docker/install.sh /usr/local/bin/install.sh
RUN --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf \
    --mount=type=secret,id=pip_ca,target=/run/secrets/pip_ca \
    sh /usr/local/bin/install.sh packages "${LOCK}"

FROM packages AS builder
RUN --mount=type=bind,target=/src sh /usr/local/bin/install.sh hexgate

FROM scratch AS sbom
COPY --from=builder /layers/hexgate/opt/hexgate/share/sbom.cdx.json /

FROM ${BASE_IMAGE} AS runtime
COPY --from=packages /layers/packages/ /
COPY --from=builder /layers/hexgate/ /
ENV PATH=/opt/hexgate/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="hexgate" \
      org.opencontainers.image.description="A release gate for AI models: six indicators, one gate" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
USER 10001:10001
WORKDIR /output
ENTRYPOINT ["/opt/hexgate/bin/hexgate-entrypoint"]
CMD ["--help"]

# The embedded reference models as a service: --target serve.
FROM runtime AS serve
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime
