"""Networks for the tests of ``spred.nn.pruning``, and random zeros in them."""

import torch
from torch import nn


class Residual(nn.Module):
    """Two convolutions and a shortcut that is added, as in a ResNet."""

    def __init__(self, n_in, n_out, stride=1):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out)
        self.second, self.norm2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        self.shortcut = nn.Identity()
        if n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        y = self.norm2(self.second(torch.relu(self.norm1(self.first(x)))))
        return torch.relu(y + self.shortcut(x))


class PackedAttention(nn.Module):
    """Self-attention as in small ViT implementations."""

    def __init__(self, width, num_heads, by_head=False):
        super().__init__()
        self.num_heads, self.by_head = num_heads, by_head
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        if self.by_head:
            q, k, v = self.qkv(x).reshape(n, t, self.num_heads, 3, -1).permute(3, 0, 2, 1, 4)
        else:
            q, k, v = self.qkv(x).reshape(n, t, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(n, t, c))


class TorchAttention(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.inner = nn.MultiheadAttention(width, num_heads, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x)[0]


class ViT(nn.Module):
    """Patches, a class token, positions, two blocks, a head."""

    def __init__(self, attention):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 5, 16))
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(4))
        self.attention = nn.ModuleList(attention(16, 4) for _ in range(2))
        self.mlps = nn.ModuleList(nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)) for _ in range(2))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        for k in range(2):
            x = x + self.attention[k](self.norms[2 * k](x))
            x = x + self.mlps[k](self.norms[2 * k + 1](x))
        return self.head(x[:, 0])


def lenet300():
    return nn.Sequential(nn.Linear(784, 300), nn.Tanh(), nn.Linear(300, 100), nn.Sigmoid(), nn.Linear(100, 10))


def lenet5():
    convolutions = [nn.Conv2d(1, 20, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU()]
    return nn.Sequential(
        *convolutions, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)
    )


def resnet():
    stem = (nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    blocks = (Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def separable():
    pointwise = (nn.Conv2d(3, 12, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.Hardswish())
    return nn.Sequential(*pointwise, nn.Conv2d(12, 6, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(96, 4))


NETWORKS = {
    "LeNet-300-100": (lenet300, (784,)),
    "LeNet-5": (lenet5, (1, 28, 28)),
    "ResNet": (resnet, (3, 16, 16)),
    "separable": (separable, (3, 8, 8)),
    "ViT": (lambda: ViT(TorchAttention), (3, 8, 8)),
    "ViT, packed": (lambda: ViT(PackedAttention), (3, 8, 8)),
    "ViT, packed by head": (lambda: ViT(lambda *a: PackedAttention(*a, by_head=True)), (3, 8, 8)),
}


def example(shape, n=3):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def size(model):
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def made_sparse(model, kept=0.5):
    """Zero rows, columns and single weights at random; biases and norms get values far from their first ones."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    for p in model.parameters():
        if p.ndim > 1 and p.shape[0] > 1:
            for dim in (0, 1):
                shape = [1] * p.ndim
                shape[dim] = -1
                p.mul_((torch.rand(p.shape[dim]) < kept).float().view(shape))
            p.mul_(torch.rand_like(p) < 0.8)
        else:
            p.add_(torch.randn_like(p))
    return model.eval()
