# syntax=docker/dockerfile:1
# The plain Python image is enough for CUDA: torch's wheels from PyPI bring the CUDA libraries, and the driver comes from the host
# through NVIDIA's container toolkit. An nvidia/cuda base would carry the same libraries a second time.
#   docker build -t inpaint .
#   docker run --gpus all -p 7860:7860 -v inpaint:/data inpaint
FROM python:3.12-slim

# Weights, uploads and results live in the volume, never in the image.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HF_HOME=/data/huggingface \
    HF_HUB_DISABLE_TELEMETRY=1 \
    INPAINT_DATA_DIR=/data/inpaint

WORKDIR /app

# First what changes seldom: this layer is the large one.
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt --requirement requirements.txt

RUN useradd --uid 1000 --create-home --shell /usr/sbin/nologin inpaint \
    && install --directory --owner=inpaint --group=inpaint /data
# The code belongs to root: the app cannot change itself. What is copied is named in .dockerignore.
COPY . .

USER 1000
VOLUME /data
EXPOSE 7860

# Starting means importing gradio, not loading a model; a minute is ample on a slow disk.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]

CMD ["python", "app.py"]
