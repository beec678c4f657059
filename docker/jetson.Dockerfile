# hexgate for NVIDIA Jetson, arm64. docker/README.md says how to build and run it.
#
# The base is the L4T of the machine: its tag and L4T_MAJOR agree with /etc/nv_tegra_release there. ONNXRUNTIME is the
# URL of an ONNX Runtime that was built for that L4T and Python, file:///in/NAME.whl for one in the wheelhouse, and
# ONNXRUNTIME_SHA256 its hash. Pin the base by digest where you can reach its registry:
#   --build-arg BASE_IMAGE=nvcr.io/nvidia/l4t-jetpack:r36.4.0@sha256:...
ARG BASE_IMAGE=nvcr.io/nvidia/l4t-jetpack:r36.4.0

FROM ${BASE_IMAGE} AS base
# No versions: they follow the base, which is what to pin.
# hadolint ignore=DL3008
RUN if ! python3 -c 'import ensurepip' 2>/dev/null; then \
      apt-get update \
      && apt-get install --yes --no-install-recommends python3-venv \
      && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log; \
    fi

FROM base AS packages
ARG LOCK=jetson.lock
ARG SOURCE_DATE_EPOCH=0
ARG ONNXRUNTIME
ARG ONNXRUNTIME_SHA256
# The wheelhouse is a folder that need not be there.
COPY docker/build.lock docker/${LOCK} wheelhouse* /in/
COPY docker/install.sh /usr/local/bin/install.sh
RUN --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf \
    --mount=type=secret,id=pip_ca,target=/run/secrets/pip_ca \
    sh /usr/local/bin/install.sh packages "${LOCK}" CUDAExecutionProvider

FROM packages AS builder
RUN --mount=type=bind,target=/src sh /usr/local/bin/install.sh hexgate

FROM scratch AS sbom
COPY --from=builder /layers/hexgate/opt/hexgate/share/sbom.cdx.json /

FROM base AS runtime
ARG L4T_MAJOR=36
COPY --from=packages /layers/packages/ /
COPY --from=builder /layers/hexgate/ /
ENV PATH=/opt/hexgate/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=all \
    HEXGATE_L4T_MAJOR=${L4T_MAJOR} \
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
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      hexgate.l4t-major="${L4T_MAJOR}"
USER 10001:10001
WORKDIR /output
ENTRYPOINT ["/opt/hexgate/bin/hexgate-entrypoint"]
CMD ["--help"]
