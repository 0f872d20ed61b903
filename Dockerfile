# syntax=docker/dockerfile:1
# Two targets: `cpu` (default, without torch) and `cuda`.
#   docker build --target cpu -t ordnance:cpu .
#   docker compose up                 the service with PostgreSQL and an S3 store, see compose.yaml
#   mkdir -p out && docker run --rm --read-only --tmpfs /tmp --network none --user "$(id -u):$(id -g)" \
#     -v "$PWD/clips:/clips:ro" -v "$PWD/out:/out" ordnance:cpu scan /clips --out /out

FROM python:3.11-slim-bookworm AS build-cpu
WORKDIR /src
RUN python -m venv /opt/ordnance
ENV PATH=/opt/ordnance/bin:$PATH
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY detector ./detector
COPY service ./service
COPY datasets ./datasets
COPY weights ./weights
COPY benchmarks ./benchmarks
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[postgres,s3]' && ordnance --help

FROM build-cpu AS build-cuda
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[cuda,postgres,s3]'

FROM python:3.11-slim-bookworm AS runtime
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin ordnance && \
    mkdir /store && chown ordnance:ordnance /store
ENV PATH=/opt/ordnance/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp/cache \
    ORT_DISABLE_TELEMETRY=1 \
    YOLO_OFFLINE=true \
    YOLO_CONFIG_DIR=/tmp/ultralytics \
    ORDNANCE_STORE=/store
USER 10001
WORKDIR /home/ordnance
HEALTHCHECK --interval=60s --timeout=20s --start-period=20s --retries=3 CMD ["ordnance", "models"]
ENTRYPOINT ["ordnance"]
CMD ["--help"]

FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=build-cuda /opt/ordnance /opt/ordnance

FROM runtime AS cpu
COPY --from=build-cpu /opt/ordnance /opt/ordnance
