#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/vision/clip.h"
#include "support/fixture.h"
#include "support/temporary_folder.h"

namespace sdg::vision {
namespace {

// The same weights as OpenAI's code names them, in a file that holds the text tower too.
std::map<std::string, Tensor> as_openai(const std::map<std::string, Tensor>& weights) {
  std::map<std::string, Tensor> out{{"text_projection", at::zeros({2, 2})}, {"logit_scale", at::zeros({1})}};
  const auto replaced = [](std::string name, const std::string& from, const std::string& to) {
    if (const auto at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
    return name;
  };
  for (const auto& [name, tensor] : weights) {
    if (const auto at = name.find("self_attn.q_proj."); at != std::string::npos) {
      const auto kind = name.substr(at + 17);
      const auto of = [&](const std::string& which) { return weights.at(replaced(name, "q_proj", which + "_proj")); };
      out["visual." +
          replaced(replaced(name.substr(0, at), "vision_model.", ""), "encoder.layers", "transformer.resblocks") +
          "attn.in_proj_" + kind] = at::cat({tensor, of("k"), of("v")});
      continue;
    }
    if (name.find("self_attn.k_proj") != std::string::npos || name.find("self_attn.v_proj") != std::string::npos)
      continue;
    if (name == "visual_projection.weight") {
      out["visual.proj"] = tensor.t();
      continue;
    }
    auto own = replaced(name, "vision_model.", "");
    for (const auto& [from, to] : {std::pair{"embeddings.class_embedding", "class_embedding"},
                                   {"embeddings.position_embedding.weight", "positional_embedding"},
                                   {"embeddings.patch_embedding", "conv1"},
                                   {"pre_layrnorm", "ln_pre"},
                                   {"post_layernorm", "ln_post"},
                                   {"encoder.layers", "transformer.resblocks"},
                                   {"layer_norm", "ln_"},
                                   {"self_attn.out_proj", "attn.out_proj"},
                                   {"mlp.fc1", "mlp.c_fc"},
                                   {"mlp.fc2", "mlp.c_proj"}})
      own = replaced(own, from, to);
    out["visual." + own] = tensor;
  }
  return out;
}

}  // namespace

TEST(ClipParity, ImagesAndEmbeddingsAreTransformers) {
  test::for_each_fixture("clip_image", [](test::Fixture& f) {
    torch::NoGradGuard no_grad;
    const auto heads = f.config.at("num_attention_heads").get<int64_t>();
    const auto size = f.config.at("image_size").get<int64_t>();
    const auto made = [&](const std::map<std::string, Tensor>& weights) {
      const auto named = clip_weights(weights);
      ClipImageTower net(clip_shape(named, f.name, heads));
      net->load_state(named, f.name);
      return net;
    };
    const auto net = made(f.weights()), other = made(as_openai(f.weights()));
    for (const std::string name : {"square", "wide", "tall", "small"}) {
      const auto x = clip_input(f.in(name), size);
      f.compare(name + ".pixel_values", x);
      f.compare(name + ".image_embeds", net->forward(x));
      EXPECT_TRUE(at::equal(other->forward(x), net->forward(x))) << "OpenAI's names";
    }
    f.expect_all_compared();
  });
}

TEST(Clip, WeightsOfAnotherNetworkAreRefused) {
  EXPECT_NE(test::message_of<Error>([] {
              clip_shape(clip_weights({{"conv1.weight", at::zeros({3})}}), "file");
            }).find("file: expected a tensor patch_weight of 4 dimensions"),
            std::string::npos);
  const auto weights = clip_weights({{"visual.conv1.weight", at::zeros({64, 3, 8, 8})},
                                     {"visual.positional_embedding", at::zeros({6, 64})},
                                     {"visual.transformer.resblocks.0.mlp.c_fc.weight", at::zeros({96, 64})},
                                     {"visual.proj", at::zeros({64, 24})}});
  EXPECT_NE(test::message_of<Error>([&] { clip_shape(weights, "file"); }).find("of no square grid"), std::string::npos);
}

}  // namespace sdg::vision
