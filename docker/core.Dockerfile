# The gRPC routing core: docker build -f docker/core.Dockerfile -t portico-core .
# PYTHON is the version that the tests run with.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/core.txt requirements/
RUN pip install --require-hashes -r requirements/build.txt \
 && python -m venv --without-pip /opt/portico \
 && pip --python /opt/portico/bin/python install --require-hashes --only-binary :all: -r requirements/core.txt
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY core core
COPY adapters adapters
COPY facade facade
# Without isolation, or pip would fetch hatchling anew, and without a hash.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && pip --python /opt/portico/bin/python install --no-deps /dist/*.whl
COPY docker/core_health.py /opt/portico/health.py

FROM python:${PYTHON}-slim
COPY --from=build /opt/portico /opt/portico
# Nothing is written at run time: the root file system may be read-only.
ENV PATH=/opt/portico/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# portico.yaml is mounted here; without one the core serves the dummy backend.
WORKDIR /etc/portico
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
  CMD ["python", "/opt/portico/health.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["portico", "core"]
