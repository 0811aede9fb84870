"""The networks of the survey: which, and how each is built."""

import re
from dataclasses import dataclass

import torch
import torchvision
from torch import nn

from networks import Network, warm_up
from onnx_files import EXPORTERS

# The groups, in the order of the page.
GROUPS = ("torchvision", "timm", "torchvision-other", "timm-other")

# Constructors whose auxiliary heads and slow initialisation are of no use here.
OPTIONS = {name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")}

# What torchvision has besides: attention over tokens.
ATTENTION = re.compile("vit|swin")

TIMM = """
resnet18d resnet26t ecaresnet26t gcresnext26ts legacy_seresnet18 skresnet18 resnest14d res2net50_26w_4s resnetv2_18
resnetv2_50x1_bit nf_resnet26 nf_regnet_b0 eca_nfnet_l0 regnetx_002 regnety_002 regnetz_005 regnetv_040 gernet_s repvgg_a0
mobileone_s0 repvit_m1 fastvit_t8 efficientnet_lite0 efficientnet_es efficientnet_b0_gn efficientnet_blur_b0
efficientnet_cc_b0_4e efficientnetv2_rw_t tf_efficientnet_b0 tf_efficientnetv2_b0 mixnet_s tinynet_e mnasnet_small
semnasnet_075 fbnetc_100 fbnetv3_b spnasnet_100 hardcorenas_a mobilenetv1_100 mobilenetv2_050 mobilenetv3_small_050
tf_mobilenetv3_small_minimal_100 mobilenetv4_conv_small lcnet_050 lcnetv2_small ghostnet_050 ghostnetv2_100
ghostnetv3_050 repghostnet_050 rexnet_100 hrnet_w18_small dla34 dla46x_c dpn48b densenet121 densenetblur121d
ese_vovnet19b_dw vovnet39a cspresnet50 cspdarknet53 cs3darknet_s cspnext_tiny darknet17 selecsls42b legacy_xception
xception41 inception_next_atto convnext_atto convnext_zepto_rms convnextv2_atto poolformer_s12 poolformerv2_s12
convformer_s18 convmixer_768_32 focalnet_tiny_srf hgnet_tiny hgnetv2_b0 tresnet_m mambaout_femto starnet_s1 rdnet_tiny
fasternet_t0 resnet50_gn resnetblur18 inception_v4 inception_resnet_v2
""".split()

# With attention, token mixing or a Fourier transform, families as different as timm has them. The first are those that a
# peer of ours failed on.
TIMM_OTHER = """
swin_tiny_patch4_window7_224 mobilevit_xxs pit_ti_224 xcit_nano_12_p16_224 mvitv2_tiny pvt_v2_b0 caformer_s18
edgenext_xx_small efficientvit_b0 visformer_tiny coatnet_nano_rw_224 maxvit_pico_rw_256 mixer_s32_224
deit_tiny_patch16_224 vit_tiny_patch16_224 beit_base_patch16_224 botnet26t_256 tiny_vit_5m_224 mobilevitv2_050
hiera_tiny_224 gcvit_xxtiny convit_tiny vit_wee_patch16_reg1_gap_256 deit_tiny_distilled_patch16_224 cait_xxs24_224
levit_128s efficientformer_l1 efficientformerv2_s0 efficientvit_m0 swinv2_tiny_window8_256 swin_s3_tiny_224
pit_ti_distilled_224 coat_lite_tiny twins_svt_small twins_pcpvt_small nest_tiny davit_tiny gmlp_ti16_224 resmlp_12_224
gmixer_12_224 vit_relpos_small_patch16_224 eva02_tiny_patch14_224 vit_xsmall_patch16_clip_224 vit_tiny_r_s16_p8_224
swiftformer_xs shvit_s1 nextvit_small mobilenetv4_hybrid_medium fastvit_sa12 maxxvitv2_nano_rw_256 volo_d1_224
crossvit_9_240 tnt_s_patch16_224 swinv2_cr_tiny_ns_224 deit3_small_patch16_224 vit_small_patch16_dinov3 flexivit_small
halonet26t lambda_resnet26t resnet50_clip vit_base_patch32_siglip_256 vitamin_small_224 sequencer2d_s lowformer_b0
efficientvim_m1 iformer_t
""".split()

# Whose kernels depend on the picture: neither exporter takes them with a dynamic batch.
STATIC = {"efficientnet_cc_b0_4e"}

# Whose fused attention has five axes, which the newer exporter does not take; written out it is the same.
UNFUSED = {"hiera_tiny_224", "nest_tiny", "twins_svt_small"}

# Whose batch normalisation stands behind the relu.
RELU_FIRST = {"convmixer_768_32"}


@dataclass(frozen=True)
class Member:
    """One network: `library` is torchvision or timm, `group` one of GROUPS."""

    library: str
    model: str
    group: str

    @property
    def name(self):
        return f"{self.library}.{self.model}"

    @property
    def exporters(self):
        return EXPORTERS if self.library == "torchvision" else ("new",)

    @property
    def static(self):
        """Whether it is exported with a batch of one."""
        return self.model in STATIC


def members():
    """All networks, in the order in which they are run: torchvision's first."""
    found = []
    for name in torchvision.models.list_models(module=torchvision.models):
        group = "torchvision-other" if ATTENTION.search(name) else "torchvision"
        found.append(Member("torchvision", name, group))
    found += [Member("timm", name, "timm") for name in TIMM]
    found += [Member("timm", name, "timm-other") for name in TIMM_OTHER]
    return sorted(found, key=lambda member: GROUPS.index(member.group))


def build(member, seed=0):
    """The network with seeded random weights, warmed up (`networks.warm_up`), in evaluation mode and float32."""
    torch.manual_seed(seed)
    if member.library == "torchvision":
        model = torchvision.models.get_model(member.model, weights=None, **OPTIONS.get(member.model, {}))
        size = (299, 299) if member.model == "inception_v3" else (224, 224)
        last = None
    else:
        import timm

        timm.layers.set_fused_attn(member.model not in UNFUSED)
        model = timm.create_model(member.model, pretrained=False)
        if not model.num_classes:  # Published without a head.
            model.reset_classifier(1000)
        size = timm_size(model.pretrained_cfg)
        last = model.get_classifier()
        last = nn.ModuleList(last) if isinstance(last, tuple) else last  # A head for the class token, one for the distilled.
        last = [layer for layer in last.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))][-1]
    enliven(model)
    if member.model in RELU_FIRST:
        lift(model)
    network = Network(member.name, model, lambda x: x, model, None, input_size=size)
    warm_up(network, dtype=torch.float32, last=last)
    return network


def timm_size(config):
    """The network's own input size; at most 224 x 224 where it takes any."""
    height, width = config["input_size"][1:]
    return (height, width) if config.get("fixed_input_size") or max(height, width) <= 256 else (224, 224)


@torch.no_grad()
def enliven(model):
    """Gives layers that start as almost nothing (layer scale, skip gain) the size that training gives them."""
    for name, parameter in model.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        if re.fullmatch(r"gamma\w*|layer_scale\w*|skipinit_gain|ls\d?|scale", leaf) and parameter.abs().max() <= 0.1:
            parameter.uniform_(0.3, 1.0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():  # torchvision's ViT: a head of zeros.
            nn.init.xavier_uniform_(layer.weight)


@torch.no_grad()
def lift(model):
    """Biases that keep most values above the relu, as training may.

    Relu and then normalisation multiplies the rounding in a random network by 1.2: relu keeps half of it, but only a third
    of the variance. ConvMixer has 64 of them in a row, and PyTorch's own float32 was 5e-3 away from its float64.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.bias)
