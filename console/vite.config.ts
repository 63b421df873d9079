import tailwind from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), tailwind()],
  build: {
    outDir: 'dist',
    // The themes stand on light-dark(), which would else be rewritten for browsers of before 2024.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The policy allows no data: scripts or styles, and a small file costs nothing on a kept connection.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // Else each module that two pages share is a file, and the first page asks for a dozen of them. What one page
        // alone needs and is large is left to that page.
        codeSplitting: {
          groups: [
            { name: 'vendor', test: /node_modules\/(?!uplot|cmdk)/ },
            { name: 'parts', test: /console\/src\/(parts|api)\// },
          ],
        },
      },
    },
  },
})
