# One image for every command. Multi-stage: the build tools stay behind.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/outrider && /opt/outrider/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY agent agent
COPY collector collector
COPY sandbox sandbox
COPY config config
COPY scenarios scenarios
RUN /opt/outrider/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
# Nothing but /var/lib/outrider is ever written: run it with a read-only root file system. The other folder is where a
# volume with enrolment tokens can be mounted (compose.yaml).
RUN groupadd --gid 10001 outrider \
 && useradd --uid 10001 --gid outrider --no-create-home --home-dir /nonexistent outrider \
 && install -d -o outrider -g outrider /var/lib/outrider /var/lib/outrider-tokens
COPY --from=build /opt/outrider /opt/outrider
ENV PATH=/opt/outrider/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER outrider
VOLUME /var/lib/outrider
WORKDIR /var/lib/outrider
STOPSIGNAL SIGTERM
ENTRYPOINT ["outrider"]
CMD ["--help"]
