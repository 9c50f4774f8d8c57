# Two stages: the first makes the wheel and an environment with it, the second gets that
# environment and nothing else - no compiler, no pip, no sources.
ARG PYTHON=3.12
# Another image with `python`, such as one made with debootstrap: --build-arg BASE=... The first stage
# needs `pip` as well: --build-arg BUILD=..., if the other one has none.
ARG BASE=docker.io/library/python:${PYTHON}-slim
ARG BUILD=${BASE}

FROM ${BUILD} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN command -v strip >/dev/null \
 || { apt-get update && apt-get install --yes --no-install-recommends binutils; }
# What is locked first: a change of the code installs nothing again.
COPY requirements requirements
# --without-pip: the running image needs none; the outer pip fills the environment.
# Two thirds of the wheels' extension modules are symbols for debuggers; sources in C and Cython, stubs and
# the packages' own test helpers are not run either.
RUN pip install --require-hashes -r requirements/build.lock.txt \
 && python -m venv --without-pip /opt/consent-proxy \
 && pip --python /opt/consent-proxy/bin/python install \
      --require-hashes -r requirements/image.lock.txt \
 && find /opt/consent-proxy -name '*.so*' -type f -exec strip --strip-unneeded {} + \
 && find /opt/consent-proxy/lib -type f \
      -regex '.*\.\(c\|cpp\|h\|pxd\|pxi\|pyi\|pyx\)' -delete \
 && rm -rf /opt/consent-proxy/lib/python*/site-packages/*/testing
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY consent_rules consent_rules
COPY proxy proxy
COPY static static
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/consent-proxy/bin/python install --no-deps /wheels/*.whl

FROM ${BASE}
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
RUN groupadd --gid 10001 consent \
 && useradd --uid 10001 --gid consent --no-create-home --home-dir /nonexistent \
      --shell /usr/sbin/nologin consent \
 && install -d -o consent -g consent -m 0750 /var/lib/consent-proxy
COPY --from=build /opt/consent-proxy /opt/consent-proxy
ENV PATH=/opt/consent-proxy/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# The only folder that is written to: with it as a volume, --read-only works. In the config:
#   [proxy]       discovered = "/var/lib/consent-proxy/discovered.db"
#   [preferences] keys = "/var/lib/consent-proxy/keys/"
#   [receipts]    store = "sqlite:////var/lib/consent-proxy/receipts.db"
VOLUME /var/lib/consent-proxy
WORKDIR /var/lib/consent-proxy
USER 10001:10001

# [proxy] listen = "0.0.0.0:8080". The admin port stays on loopback, inside the container.
EXPOSE 8080
ENV CONSENT_PROXY_HEALTH=http://127.0.0.1:8081/healthz
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(os.environ['CONSENT_PROXY_HEALTH'], timeout=2)"]
# SIGTERM drains: no new connections, those open are answered to their end.
STOPSIGNAL SIGTERM
ENTRYPOINT ["consent-proxy"]
CMD ["run", "--config", "/etc/consent-proxy/consent-proxy.toml"]
