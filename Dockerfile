# syntax=docker/dockerfile:1
# The plain Python image is enough for CUDA: torch's wheels from PyPI bring the CUDA libraries, and the driver comes from the host
# through NVIDIA's container toolkit. An nvidia/cuda base would carry the same libraries a second time.
#   docker build -t inpaint .                              for NVIDIA's GPUs, and for CPUs
#   docker build -t inpaint --build-arg TORCH=cpu .        for CPUs alone, a tenth of the size
#   docker run --gpus all -p 127.0.0.1:7860:7860 -v inpaint:/data inpaint [flags of app.py]
# Pinned to a release. Its digest could not be had where this was written: add it for builds that never differ (@sha256:...).
FROM python:3.12.12-slim-bookworm

ARG TORCH=cuda

LABEL org.opencontainers.image.title="Inpaint" \
      org.opencontainers.image.description="Repaint part of a picture, and only that part" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

# Weights, uploads and results lie below /data, never in the image. HOME and USER are for users that the image does not know
# (--user 12345): libraries ask for both.
# INPAINT_OPEN: within the container the server has to listen on every address, which says nothing of who reaches it. Whoever publishes
# the port (-p) decides that: 127.0.0.1:7860:7860 is this machine alone; for more, add --auth USER:PASSWORD behind the image's name.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    USER=inpaint \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    INPAINT_OPEN=1 \
    HF_HOME=/data/huggingface \
    INPAINT_DATA_DIR=/data/inpaint

WORKDIR /app

# First what changes seldom: this layer is the large one.
COPY requirements.txt constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    case "$TORCH" in \
        cuda) ;; \
        cpu) HOME=/root pip install --disable-pip-version-check --no-deps --index-url https://download.pytorch.org/whl/cpu \
                 "$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)+cpu" ;; \
        *) echo "TORCH=$TORCH is neither cuda nor cpu" >&2; exit 1 ;; \
    esac \
    && HOME=/root pip install --disable-pip-version-check --constraint constraints.txt --requirement requirements.txt

# Open to every user, so that any may run it; a named volume takes this over. No VOLUME is declared: without -v that would leave an
# anonymous one behind at every run.
RUN useradd --uid 1000 --no-create-home --home-dir /data --shell /usr/sbin/nologin inpaint \
    && install --directory --mode=1777 /data
# The code belongs to root: the app cannot change itself. What is copied is named in .dockerignore.
COPY . .

USER 1000
EXPOSE 7860

# Asks /readyz, at the port and with the login that variables and flags name. Starting means importing gradio, not loading a model; a
# minute is ample on a slow disk.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "inpaint.health"]

ENTRYPOINT ["python", "app.py"]
