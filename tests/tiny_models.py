"""Tiny model repositories with random weights, in the layout of the published ones, built in a second or two.

Knows no engine of ours: whatever stock `from_pretrained` loads is what the engines get.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    KandinskyV22Img2ImgPipeline,
    KandinskyV22InpaintPipeline,
    KandinskyV22PriorPipeline,
    PNDMScheduler,
    PriorTransformer,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UnCLIPScheduler,
    UNet2DConditionModel,
    VQModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

EMBEDDING = 32
TOKENS = 77
KNOWN_WORDS = ("a", "red", "hat", "dog", "cat", "the", "sky", "word")


def make_kandinsky(folder: Path, *, learned_range: bool, seed: int = 0, image_width: int = 37) -> tuple[Path, Path]:
    """Write the repositories `prior` and `decoder` of a tiny Kandinsky 2.2 under folder, and return the two.

    MoVQ has four blocks as the published one: latents are 1/8 of the picture, and sides must be multiples of 64.
    image_width: of the image encoder's inner layers; from about 4000 on it is the largest part, as the published one is.
    """
    torch.manual_seed(seed)
    prior_folder, decoder_folder = folder / "prior", folder / "decoder"
    tokenizer = make_tokenizer(folder / "vocabulary")
    KandinskyV22PriorPipeline(
        prior=_prior(),
        image_encoder=_image_encoder(image_width),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        scheduler=UnCLIPScheduler(prediction_type="sample", clip_sample_range=5.0),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
    ).save_pretrained(prior_folder)
    KandinskyV22InpaintPipeline(unet=_unet(), scheduler=_ddpm(learned_range), movq=_movq()).save_pretrained(decoder_folder)
    return prior_folder, decoder_folder


def make_image_decoder(folder: Path, decoder: Path, *, learned_range: bool, seed: int = 2) -> Path:
    """Write the repository of a tiny image-to-image decoder into folder: a UNet of its own, and the very MoVQ of `decoder`."""
    torch.manual_seed(seed)
    KandinskyV22Img2ImgPipeline(
        unet=_unet(4), scheduler=_ddpm(learned_range), movq=VQModel.from_pretrained(decoder / "movq")
    ).save_pretrained(folder)
    shutil.rmtree(folder / "movq")
    shutil.copytree(decoder / "movq", folder / "movq")
    return folder


def make_sdxl(folder: Path, *, seed: int = 0) -> Path:
    """Write the repository of a tiny SDXL text-to-image model into folder, and return it."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder / "vocabulary")
    StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        text_encoder_2=_text_encoder(tokenizer),
        tokenizer_2=tokenizer,
        unet=_sdxl_unet(),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="trailing"
        ),
        add_watermarker=False,
    ).save_pretrained(folder / "sdxl")
    return folder / "sdxl"


def make_sdxl_inpaint(folder: Path, *, seed: int = 0) -> Path:
    """Write the repository of a tiny SDXL inpainting model (a UNet of 9 channels) into folder, and return it."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder / "vocabulary")
    StableDiffusionXLInpaintPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        text_encoder_2=_text_encoder(tokenizer),
        tokenizer_2=tokenizer,
        unet=_sdxl_unet(in_channels=9),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
        ),
        add_watermarker=False,
    ).save_pretrained(folder / "sdxl-inpaint")
    return folder / "sdxl-inpaint"


def make_sd15(folder: Path, *, in_channels: int, seed: int = 0) -> Path:
    """Write the repository of a tiny Stable Diffusion 1.5 into folder, and return it. in_channels: 9 = for inpainting, 4 = from text.

    Its index names a safety checker as the published ones do; the folder is not there.
    """
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder / "vocabulary")
    kind = StableDiffusionInpaintPipeline if in_channels == 9 else StableDiffusionPipeline
    kind(
        vae=_vae(scaling_factor=0.18215),
        text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        unet=_sd_unet(in_channels),
        safety_checker=None,
        requires_safety_checker=False,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
        scheduler=PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1),
    ).save_pretrained(folder / "sd15")
    index = folder / "sd15" / "model_index.json"
    named = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    index.write_text(json.dumps(json.loads(index.read_text(encoding="utf-8")) | named), encoding="utf-8")
    return folder / "sd15"


def make_flux(folder: Path, *, fill: bool, seed: int = 0) -> Path:
    """Write the repository of a tiny FLUX.1 into folder, and return it. fill: the inpainting one (FLUX.1 Fill)."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder / "vocabulary")
    kind = FluxFillPipeline if fill else FluxPipeline
    kind(
        vae=_flux_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        text_encoder_2=_t5().eval(),
        tokenizer_2=_t5_tokenizer(),
        transformer=_flux_transformer(in_channels=16 + 16 + 256 if fill else 16),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    ).save_pretrained(folder / "flux")
    return folder / "flux"


def make_tokenizer(folder: Path) -> CLIPTokenizer:
    """A byte-level BPE vocabulary of 512 letters, KNOWN_WORDS as one token each, and the two marks of CLIP."""
    letters = list(_byte_letters())
    vocabulary = letters + [letter + "</w>" for letter in letters]
    merges: list[str] = []
    for word in KNOWN_WORDS:
        _add_word(word, vocabulary, merges)
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    numbered = {token: number for number, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(numbered), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS}), encoding="utf-8"
    )
    return CLIPTokenizer.from_pretrained(folder)


def _add_word(word: str, vocabulary: list[str], merges: list[str]) -> None:
    """Merge the word from the left, as byte-pair encoding writes it: the last letter carries the end mark."""
    parts = [*word[:-1], word[-1] + "</w>"]
    while len(parts) > 1:
        if f"{parts[0]} {parts[1]}" not in merges:
            merges.append(f"{parts[0]} {parts[1]}")
            vocabulary.append(parts[0] + parts[1])
        parts = [parts[0] + parts[1], *parts[2:]]


def _byte_letters() -> list[str]:
    """One printable letter for each byte: the alphabet of byte-level BPE (GPT-2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=EMBEDDING,
        projection_dim=EMBEDDING,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_factor=2.0,
    )


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(_text_config(tokenizer)).eval()


def _image_encoder(width: int) -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=EMBEDDING,
            image_size=32,
            projection_dim=EMBEDDING,
            intermediate_size=width,
            num_attention_heads=4,
            num_hidden_layers=2,
            patch_size=8,
        )
    ).eval()


def _prior() -> PriorTransformer:
    prior = PriorTransformer(num_attention_heads=2, attention_head_dim=16, embedding_dim=EMBEDDING, num_layers=1)
    # The published statistics are not 0 and 1; those would hide a forgotten post-processing.
    prior.clip_mean.data.normal_()
    prior.clip_std.data.uniform_(0.5, 1.5)
    return prior


def _ddpm(learned_range: bool) -> DDPMScheduler:
    return DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        clip_sample=True,
        clip_sample_range=2.0,
        thresholding=True,
        sample_max_value=2.0,
        variance_type="learned_range" if learned_range else "fixed_small",
    )


def _unet(in_channels: int = 9) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        out_channels=8,
        layers_per_block=1,
        block_out_channels=(8, 16, 16, 16),
        norm_num_groups=4,
        down_block_types=("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=(*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"),
        encoder_hid_dim=EMBEDDING,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=16,
        attention_head_dim=8,
        addition_embed_type="image",
        resnet_time_scale_shift="scale_shift",
    )


def _movq() -> VQModel:
    return VQModel(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=12,
        layers_per_block=1,
        block_out_channels=(32, 32, 32, 32),
        norm_num_groups=8,
        norm_type="spatial",  # SpatialNorm has 32 groups
        down_block_types=(*["DownEncoderBlock2D"] * 3, "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * 3),
    )


def _vae(scaling_factor: float = 0.13025) -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=scaling_factor,
        force_upcast=True,
    )


def _flux_vae() -> AutoencoderKL:
    """Four blocks, no convolution round the latents, and a shift, as FLUX's."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _flux_transformer(in_channels: int) -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=in_channels,
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=EMBEDDING,
        pooled_projection_dim=EMBEDDING,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )


def _t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=600, d_model=EMBEDDING, d_kv=8, d_ff=37, num_layers=2, num_heads=4))


def _t5_tokenizer() -> T5Tokenizer:
    """A vocabulary of single letters and KNOWN_WORDS; 512 tokens of a text are read, as FLUX reads them."""
    letters = [(letter, -5.0) for letter in _byte_letters()]
    words = [(f"\u2581{word}", -3.0) for word in KNOWN_WORDS]
    extra = [(f"<extra_id_{number}>", 0.0) for number in range(300)]
    return T5Tokenizer(
        [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *letters, *words, *extra], extra_ids=300, model_max_length=512
    )


def _sd_unet(in_channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=EMBEDDING,
    )


def _sdxl_unet(in_channels: int = 4) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        transformer_layers_per_block=(1, 2),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        cross_attention_dim=2 * EMBEDDING,
        projection_class_embeddings_input_dim=6 * 8 + EMBEDDING,
    )
