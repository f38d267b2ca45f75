"""Backbones that every family shares: one controlled variable in a comparison of families.

``shape`` is (channels, height, width) for images of any size and (dimension,) for points; :func:`encoder` and
:func:`decoder` pick the convolutional or the fully connected net.
"""

from genzoo.nets.classes import ClassEmbedding
from genzoo.nets.conv import ConvDecoder, ConvEncoder, decoder, encoder, halvings
from genzoo.nets.mlp import MLP, Activation, FourierFeatures, ResidualMLP, Wrap, identity, sinusoids
from genzoo.nets.norm import Normalise, normalise
from genzoo.nets.transformer import Transformer
from genzoo.nets.unet import UNet, vector_field

__all__ = [
    "MLP",
    "Activation",
    "ClassEmbedding",
    "ConvDecoder",
    "ConvEncoder",
    "FourierFeatures",
    "Normalise",
    "ResidualMLP",
    "Transformer",
    "UNet",
    "Wrap",
    "decoder",
    "encoder",
    "halvings",
    "identity",
    "normalise",
    "sinusoids",
    "vector_field",
]
