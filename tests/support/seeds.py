"""What the seeds of the project write, word for word."""

#: The variable CONFIG as seed 003 writes it.
CONFIG = """
 {
  "config": {
    "default": [
      {
        "models": [
          "gpt-4o",
          "gpt-4o-mini"
        ],
        "api_key": "***",
        "base_url": "https://api.openai.com/v1"
      },
      {
        "models": [
          "deepseek-chat",
          "deepseek-coder"
        ],
        "api_key": "***",
        "base_url": "https://api.deepseek.com/v1"
      }
    ]
  },
  "azure": [
    {
      "models": [
        "gpt-4o",
        "gpt-4o-mini"
      ],
      "api_key": "***",
      "base_url": "https://***.openai.azure.com/",
      "api_version": "2024-02-15-preview",
      "is_azure": true
    }
  ]
}
"""
