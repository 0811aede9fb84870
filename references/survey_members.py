"""The networks of the survey: which, and how each is built."""

import re
from dataclasses import dataclass

import torch
import torchvision
from torch import nn

from networks import Network, warm_up

# The groups, in the order of the page.
GROUPS = ("torchvision", "timm", "torchvision-other", "timm-other")

# Constructors whose auxiliary heads and slow initialisation are of no use here.
OPTIONS = {name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")}

# What torchvision has besides: attention over tokens.
ATTENTION = re.compile("vit|swin")

TIMM = """
resnet18d resnet26t resnet32ts resnet50s resnet50c resnet50_gn resnetaa50 resnetblur18 resnetrs50 resnet50_mlp
ecaresnet26t ecaresnetlight eca_resnext26ts gcresnet33ts gcresnext26ts legacy_seresnet18 legacy_seresnext26_32x4d
skresnet18 skresnext50_32x4d resnest14d resnest26d res2net50_26w_4s res2next50 resnetv2_18 resnetv2_50d_evos
resnetv2_50d_frn resnetv2_50x1_bit nf_resnet26 nf_regnet_b0 nfnet_l0 eca_nfnet_l0 dm_nfnet_f0 regnetv_040 regnetx_002
regnety_002 regnety_040_sgn regnetz_005 regnetz_b16 gernet_s repvgg_a0 repvgg_d2se mobileone_s0 repvit_m1 fastvit_t8
efficientnet_lite0 efficientnet_es efficientnet_b0_gn efficientnet_b1_pruned efficientnet_blur_b0 efficientnet_cc_b0_4e
efficientnet_x_b3 efficientnetv2_rw_t gc_efficientnetv2_rw_t tf_efficientnet_b0 tf_efficientnetv2_b0 mixnet_s
tf_mixnet_s tinynet_e mnasnet_small semnasnet_075 fbnetc_100 fbnetv3_b spnasnet_100 hardcorenas_a mobilenetv1_100
mobilenetv2_050 mobilenetv3_small_050 tf_mobilenetv3_small_minimal_100 mobilenetv4_conv_small
mobilenetv4_conv_blur_medium lcnet_050 lcnetv2_small ghostnet_050 ghostnetv2_100 ghostnetv3_050 repghostnet_050
rexnet_100 rexnetr_100 hrnet_w18_small dla34 dla46x_c dla60_res2net dpn48b dpn68 densenet121 densenetblur121d vovnet39a
ese_vovnet19b_dw eca_vovnet39b cspresnet50 cspresnext50 cspdarknet53 cs3darknet_s cs3sedarknet_l cs3edgenet_x
cspnext_tiny darknet17 darknetaa53 sedarknet21 selecsls42b legacy_xception xception41 xception41p inception_v4
inception_resnet_v2 inception_next_atto nasnetalarge pnasnet5large convnext_atto convnext_zepto_rms convnext_tiny_hnf
convnextv2_atto convmixer_768_32 convmixer_1024_20_ks9_p14 poolformer_s12 poolformerv2_s12 convformer_s18
focalnet_tiny_srf van_b0 hgnet_tiny hgnetv2_b0 tresnet_m mambaout_femto starnet_s1 rdnet_tiny fasternet_t0 vgg11_bn
""".split()

# With attention, token mixing or a Fourier transform. The first are those that PUBLIC-REPORTS of the peers name.
TIMM_OTHER = """
swin_tiny_patch4_window7_224 mobilevit_xxs mobilevitv2_050 pit_ti_224 xcit_nano_12_p16_224 mvitv2_tiny caformer_s18
edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientvit_b0 efficientvit_m0 visformer_tiny
mobilenetv4_hybrid_medium levit_conv_128s coatnet_pico_rw_224 maxvit_pico_rw_256 botnet26t_256 halonet26t lambda_resnet26t
fastvit_sa12 repvit_m0_9 swiftformer_xs nextvit_small pvt_v2_b0 shvit_s1 mixer_s32_224 vit_tiny_patch16_224
deit_tiny_patch16_224 sequencer2d_s
""".split()


@dataclass(frozen=True)
class Member:
    """One network: `library` is torchvision or timm, `group` one of GROUPS."""

    library: str
    model: str
    group: str

    @property
    def name(self):
        return f"{self.library}.{self.model}"


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

        model = timm.create_model(member.model, pretrained=False)
        size = timm_size(model.pretrained_cfg)
        last = model.get_classifier()
        last = last[-1] if isinstance(last, (tuple, list)) else last
    enliven(model)
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
