# syntax=docker/dockerfile:1
# The server. For NVIDIA's cards: docker build --build-arg ACCELERATOR=cuda . With optional parts, such
# as those that a cluster and a bucket need: --build-arg EXTRAS=ray,s3
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
ARG ACCELERATOR=cpu
ARG EXTRAS=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/nodegraph
ENV PATH=/opt/nodegraph/bin:$PATH

# By itself and first: it is by far the largest, and seldom another one. The range is that of
# pyproject.toml. The wheels of PyPI bring CUDA along; those of the other index are for CPUs.
RUN case "$ACCELERATOR" in \
      cpu) pip install --index-url https://download.pytorch.org/whl/cpu "torch>=2.8,<2.14" ;; \
      cuda) pip install "torch>=2.8,<2.14" ;; \
      *) echo "ACCELERATOR is cpu or cuda, not $ACCELERATOR" >&2; exit 1 ;; \
    esac

WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY nodegraph nodegraph
COPY nodes nodes
COPY pipelines pipelines
COPY workflows workflows
RUN pip install ".${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}-slim-bookworm
ARG EXTRAS=
# KubeRay looks with it whether Ray's processes are well.
RUN case ",$EXTRAS," in *,ray,*) \
      apt-get update && apt-get install --yes --no-install-recommends wget \
      && rm -rf /var/lib/apt/lists/* ;; \
    esac
LABEL org.opencontainers.image.title="nodegraph" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 nodegraph \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home nodegraph \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /opt/nodegraph /opt/nodegraph

# At an address that others can reach it starts with a token only, see docs/operations.md.
ENV PATH=/opt/nodegraph/bin:$PATH \
    HOME=/data \
    NODEGRAPH_HOME=/data \
    NODEGRAPH_SERVER_HOST=0.0.0.0 \
    NODEGRAPH_SERVER_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8420
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('NODEGRAPH_SERVER_PORT', '8420')), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["nodegraph"]
CMD ["serve"]
