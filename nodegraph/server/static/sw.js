(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "34836515eeb540da",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-n17_SgUk.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-jXcf8mRH.js",
			"assets/CardPlayer-BC8lZRy2.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CommentsPanel-BSX6QA-C.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CompareDialog-CkrFoUIR.js",
			"assets/CompareDialog-eYtAVuOg.css",
			"assets/Completing-D7Y8YH79.js",
			"assets/Credentials-BHCyc7oQ.js",
			"assets/Credentials-Cirk6yvg.css",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-CCGM5WAn.js",
			"assets/FileView-ryvOCORG.js",
			"assets/FrameSteps-DcBxBgpd.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GalleryPanel-mzugVjGr.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-DZuWhTZz.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-beAS0SlT.js",
			"assets/GetModelsDialog-CN1QaD6x.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-DLeAmSls.js",
			"assets/HelpPanel-8hcanZ1b.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-_bkRSuy_.js",
			"assets/InspectorPanel-BPAhJCoK.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-DYGc-nzt.js",
			"assets/LackingDialog-Bn3sbWZB.js",
			"assets/LessonHost-DuPR9sLE.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-BNNXXd0P.js",
			"assets/License-ChsO7aGu.css",
			"assets/LineageView-C0_ReHPS.css",
			"assets/LineageView-n3MjgEri.js",
			"assets/LivePlot-BPj1aAHM.js",
			"assets/LivePlotDialog-CjwqpsTY.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-C9nPEl20.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MaskDialog-tkwIEMz6.js",
			"assets/MergeDialog-DUtu6NIf.js",
			"assets/MissingDialog-BZ_kpeGD.js",
			"assets/ModelsPanel-BjFCZ2Ez.js",
			"assets/ModelsPanel-CQGOcmq0.css",
			"assets/MoleculeView-CVbiJkLV.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/NodePresetsDialog-I3wMLr7i.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-d8BWM7n6.js",
			"assets/OrganizeDialog-Bfw0NPa5.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-CneFxL8o.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-DpYGy0UG.js",
			"assets/PaintingView-J2tBfXGs.css",
			"assets/PaintingView-_V8Wgowv.js",
			"assets/PalettePanel-BCAWt8zp.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-Bc2oEbyE.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-CvM00yoH.js",
			"assets/PlotView-CoVIy1Z1.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-CeMity9k.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-C6-5qo-D.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-BQ1shlX6.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/QueuePanel-Dtq867LR.js",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-CFEFAtkB.js",
			"assets/RowsDialog-BglNOlbK.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-DS_F9fPP.js",
			"assets/Section-BpK59rjI.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-Cmsz7i0D.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-DO8hyQzN.js",
			"assets/ShapeView-jdP8g15M.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-DMoonCoS.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-ea0ISqBl.js",
			"assets/SmallPlot-BZXYQ7RE.js",
			"assets/SoundPlayer-CauMDkHp.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-DFrsxaBV.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-DLm4XxcA.js",
			"assets/SweepDialog-C4kKvRUP.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-daQjGb1f.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-DML4aeBO.js",
			"assets/TranslatedDialog-X4q3-UeE.js",
			"assets/VideoPlayer-DifRmzNz.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer--n_jV6_O.js",
			"assets/Viewer-CbwlZl-c.css",
			"assets/actions-ClF3Plar.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/conflict-CNa-k28t.js",
			"assets/de-C7zEYuTo.js",
			"assets/de-D07tKtbp.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-8QaXHBTf.js",
			"assets/drawing-DeHwrMlD.js",
			"assets/ellipsis-vertical-HIZJEgAx.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-lvDaj_iO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-C96QjH3x.js",
			"assets/es-CmIcIpRn.js",
			"assets/exportSvg-DF5ihviL.js",
			"assets/exporting-BOUMxSPv.js",
			"assets/eye-off-DqFjQmJE.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-tFvOK7jR.js",
			"assets/frames-Bp8688TG.js",
			"assets/graph-8j-ExLoO.css",
			"assets/graph-CGDZez-C.js",
			"assets/grid-D6o0jDOC.js",
			"assets/grid-DpS66WGR.js",
			"assets/icons-C7mpDlYV.js",
			"assets/importing-DKxw7Vyq.js",
			"assets/index-CK2vfDi3.js",
			"assets/index-DCZ9eYC0.css",
			"assets/install-CCSJi1hf.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-CB-i8SQF.js",
			"assets/kit-BsbknK1j.css",
			"assets/kit-yevmJ7MX.js",
			"assets/late-BaKBhpXa.js",
			"assets/late-CMi_znjH.js",
			"assets/late-CoGwt9kO.js",
			"assets/late-DPsViHRh.js",
			"assets/late-UtJYZsVT.js",
			"assets/late-fbDz2fAY.js",
			"assets/layerActions-DOMQQQCu.js",
			"assets/lessons-DSnE9Y-q.js",
			"assets/modelOffers-B2zxu8wi.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-CH-I5gFl.js",
			"assets/palette-DId1GuJu.js",
			"assets/pictures-CEZc60u6.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-BStdo1kQ.js",
			"assets/resolve-BVfqRViY.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-DNRePlig.js",
			"assets/saving-bXTykwo_.js",
			"assets/share-zQuTiAaH.js",
			"assets/shared-BKU38BBS.css",
			"assets/shared-BxcAbYHL.js",
			"assets/sides-CJ2JGO0h.js",
			"assets/start-cJJTXGkf.js",
			"assets/starting-Cbqb-OSd.js",
			"assets/states-Dkefue3X.js",
			"assets/steps-Bl-rplpb.js",
			"assets/taking-DYWsNGmr.js",
			"assets/typeTexts-DkKPo0Sq.js",
			"assets/useConnection-BPjVRqTd.js",
			"assets/useFile-CJjD3yPV.js",
			"assets/useZoom-Cv3VXDwb.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-CQTvx-6W.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-BoR_mSUE.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-JjaPfaOZ.js"
		]
	});
})();
