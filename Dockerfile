# syntax=docker/dockerfile:1
# Two targets: `cpu` (default, without torch) and `cuda`.
#   docker build --target cpu -t ordnance:cpu .
#   docker compose up                 the service with PostgreSQL and an S3 store, see compose.yaml
#   mkdir -p out && docker run --rm --read-only --tmpfs /tmp --network none --user "$(id -u):$(id -g)" \
#     -v "$PWD/clips:/clips:ro" -v "$PWD/out:/out" ordnance:cpu scan /clips --out /out

FROM scratch AS code
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY detector ./detector
COPY service ./service
COPY datasets ./datasets
COPY weights ./weights
COPY benchmarks ./benchmarks

# What Ordnance needs is installed before its code is there: a change of the code installs none of it anew.
FROM python:3.11-slim-bookworm AS needs-cpu
WORKDIR /src
RUN python -m venv /opt/ordnance
ENV PATH=/opt/ordnance/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CONSTRAINT=/src/constraints.txt
COPY pyproject.toml constraints.txt deploy/needs.py ./
RUN python needs.py postgres s3 otel > needs.txt && pip install -r needs.txt

FROM needs-cpu AS needs-cuda
RUN python needs.py cuda > needs.txt && pip install -r needs.txt

FROM needs-cpu AS build-cpu
COPY --from=code /src ./
RUN pip install --no-deps . && ordnance --help

FROM needs-cuda AS build-cuda
COPY --from=code /src ./
RUN pip install --no-deps . && ordnance --help

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
