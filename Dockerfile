# Dagster, MLflow and cmet in one image; compose.yaml starts them (docs/containers.md).
# With an NVIDIA GPU: docker build --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04 .
ARG BASE=debian:12-slim
FROM ${BASE}

# the libraries are what MediaPipe and OpenCV load; newer ones of the same release only mend what is broken
# hadolint ignore=DL3008
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    ca-certificates git libegl1 libgl1 libgles2 libglib2.0-0 python3 python3-venv \
  && rm -rf /var/lib/apt/lists/*

# uv brings the Python that the lock is for, where the base has another one
ARG PYTHON=3.11
ENV UV_PYTHON=${PYTHON} UV_PYTHON_INSTALL_DIR=/opt/python UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv
RUN python3 -m venv /opt/uv && /opt/uv/bin/python -m pip install --no-cache-dir 'uv>=0.9'
ENV PATH=/opt/venv/bin:/opt/uv/bin:${PATH}

# the user who runs it cannot write there, so Python compiles all of it now
WORKDIR /project
COPY requirements.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
  uv venv --quiet /opt/venv && UV_CACHE_DIR=/var/cache/uv uv pip sync --quiet --compile-bytecode requirements.lock

ARG UID=1000
RUN useradd --create-home --non-unique --uid "$UID" cmet \
  && chown cmet /project \
  && git config --system --add safe.directory /project

# what setuptools leaves in the project is of no use after this
COPY --chown=cmet . ./
RUN uv pip install --quiet --no-deps --editable . && rm -rf cmet.egg-info build

USER ${UID}
RUN test -d .git || dvc config --local core.no_scm true
ENV DVC_NO_ANALYTICS=1 DO_NOT_TRACK=true MLFLOW_DISABLE_TELEMETRY=true RAY_USAGE_STATS_ENABLED=0
CMD ["cmet", "doctor"]
