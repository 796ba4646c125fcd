# docker build -t tracelake .
# docker run --rm -v "$PWD/evidence:/evidence:ro" -v "$PWD/lake:/lake" \
#     tracelake ingest /evidence --engagement demo
#
# The lake's folder must be writable by uid 1000 (or run with --user "$(id -u):$(id -g)").

FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/tracelake
ENV PATH=/opt/tracelake/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
# The dependencies first: they change more seldom than the sources, and their layer is kept.
COPY constraints.txt ./
RUN pip install -c constraints.txt setuptools wheel cython
COPY . .
RUN pip install -c constraints.txt --no-build-isolation '.[images]' \
    && pip uninstall -y setuptools wheel cython \
    && tracelake --help > /dev/null

FROM python:3.11-slim-bookworm
RUN useradd --uid 1000 --create-home analyst \
    && install -d -o analyst -g analyst /lake /evidence
COPY --from=build /opt/tracelake /opt/tracelake
ENV PATH=/opt/tracelake/bin:$PATH PYTHONUNBUFFERED=1 TRACELAKE_LAKE=/lake
USER analyst
WORKDIR /home/analyst
VOLUME ["/lake"]
ENTRYPOINT ["tracelake"]
CMD ["--help"]
