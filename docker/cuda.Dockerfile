# hexgate for NVIDIA GPUs, amd64. docker/README.md says how to build and run it.
#
# The base has CUDA 13 and cuDNN 9, which the ONNX Runtime of cuda.lock was built with, and Python 3.11 or newer, or
# apt to fetch it. Pin it by digest where you can reach its registry:
#   --build-arg BASE_IMAGE=docker.io/nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04@sha256:...
ARG BASE_IMAGE=docker.io/nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

FROM ${BASE_IMAGE} AS base
# No versions: they follow the base, which is what to pin.
# hadolint ignore=DL3008
RUN if ! python3 -c 'import ensurepip' 2>/dev/null; then \
      apt-get update \
      && apt-get install --yes --no-install-recommends python3-venv \
      && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log; \
    fi

FROM base AS packages
ARG LOCK=cuda.lock
ARG SOURCE_DATE_EPOCH=0
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
COPY --from=packages /layers/packages/ /
COPY --from=builder /layers/hexgate/ /
ENV PATH=/opt/hexgate/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
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
